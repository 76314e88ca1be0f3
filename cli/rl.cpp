// SPDX-License-Identifier: Apache-2.0
// finpercep rl -c CONFIG [-o RUN] [--resume]
#include "cli/command.h"
#include "finpercep/curriculum/ccl.h"

namespace finpercep {

void add_rl(CLI::App& program) {
  add_training<RlSettings>(program, "rl", "fine-tune a generator with the reward: RL under a curriculum (CCL)", run_rl);
}

}  // namespace finpercep
