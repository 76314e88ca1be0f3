#include "cli/command.h"
namespace finpercep { void add_map(CLI::App&) {} }
