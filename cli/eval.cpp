#include "cli/command.h"
namespace finpercep { void add_eval(CLI::App&) {} }
