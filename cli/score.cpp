#include "cli/command.h"
namespace finpercep { void add_score(CLI::App&) {} }
