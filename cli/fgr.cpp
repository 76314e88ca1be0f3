#include "cli/command.h"
namespace finpercep { void add_fgr(CLI::App&) {} }
