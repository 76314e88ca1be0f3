// SPDX-License-Identifier: Apache-2.0
// finpercep rl -c CONFIG [-o RUN] [--resume]
#include "cli/command.h"
#include "finpercep/curriculum/ccl.h"

namespace finpercep {

void add_rl(CLI::App& program) {
  CLI::App* command = program.add_subcommand("rl", "fine-tune a generator with the reward: RL under a curriculum (CCL)");
  struct Flags {
    ConfigFlags config;
    std::string output;
    bool resume = false;
  };
  auto flags = std::make_shared<Flags>();
  add_config_flags(*command, flags->config);
  command->add_option("-o,--output", flags->output, "run directory (default: runs/<name of the config>)");
  command->add_flag("--resume", flags->resume, "continue the run from its last saved state, by its own config where -c names no other");
  command->callback([flags] {
    RlSettings settings;
    use_config_of_run(flags->config, flags->output, flags->resume);
    if (load_config(flags->config, settings)) run_rl(settings, run_directory(flags->output, flags->config), flags->resume);
  });
}

}  // namespace finpercep
