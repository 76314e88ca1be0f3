// SPDX-License-Identifier: Apache-2.0
// finpercep train generator|reward -c CONFIG [-o RUN] [--resume]
#include "finpercep/generate/train.h"
#include "cli/command.h"
#include "finpercep/reward/train.h"

namespace finpercep {

namespace {

struct TrainFlags {
  ConfigFlags config;
  std::string output;
  bool resume = false;
};

template <class Settings>
void add_kind(CLI::App& train, const char* name, const char* help, void (*work)(const Settings&, const std::filesystem::path&, bool)) {
  CLI::App* command = train.add_subcommand(name, help);
  auto flags = std::make_shared<TrainFlags>();
  add_config_flags(*command, flags->config);
  command->add_option("-o,--output", flags->output, "run directory (default: runs/<name of the config>)");
  command->add_flag("--resume", flags->resume, "continue the run from its last saved state, by its own config where -c names no other");
  command->callback([flags, work] {
    Settings settings;
    use_config_of_run(flags->config, flags->output, flags->resume);
    if (load_config(flags->config, settings)) work(settings, run_directory(flags->output, flags->config), flags->resume);
  });
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* train = program.add_subcommand("train", "train a generator or the reward model");
  train->require_subcommand(1);
  add_kind<GeneratorTrainSettings>(*train, "generator", "supervised training of an SR generator from photographs", train_generator);
  add_kind<RewardTrainSettings>(*train, "reward", "FinPercep-RM, stage by stage, from FGR samples", train_reward);
}

}  // namespace finpercep
