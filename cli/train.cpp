// SPDX-License-Identifier: Apache-2.0
// finpercep train generator|reward -c CONFIG [-o RUN] [--resume]
#include "finpercep/generate/train.h"
#include "cli/command.h"
#include "finpercep/reward/train.h"

namespace finpercep {

void add_train(CLI::App& program) {
  CLI::App* train = program.add_subcommand("train", "train a generator or the reward model");
  train->require_subcommand(1);
  add_training<GeneratorTrainSettings>(*train, "generator", "supervised training of an SR generator from photographs", train_generator);
  add_training<RewardTrainSettings>(*train, "reward", "FinPercep-RM, stage by stage, from FGR samples", train_reward);
}

}  // namespace finpercep
