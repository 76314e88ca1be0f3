#include "cli/command.h"
namespace finpercep { void add_demo(CLI::App&) {} }
