#include "cli/command.h"
namespace finpercep { void add_report(CLI::App&) {} }
