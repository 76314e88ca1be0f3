#include "cli/command.h"
namespace finpercep { void add_models(CLI::App&) {} }
#include "cli/command.h"
namespace finpercep { void add_metrics(CLI::App&) {} void add_weights(CLI::App&) {} }
