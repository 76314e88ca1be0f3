// SPDX-License-Identifier: Apache-2.0
// Co-evolutionary curriculum learning: the generator is trained by RL while its reward grows from RM_0 to RM_N, and between updates the
// reward learns from FGR samples of the generator's own outputs.
#pragma once
#include <filesystem>
#include <string>

#include "finpercep/curriculum/schedule.h"
#include "finpercep/generate/train.h"
#include "finpercep/reward/train.h"
#include "finpercep/rl/reward_signal.h"

namespace finpercep {

struct RlSettings {
  int64_t manual_seed = 0;
  std::string device = "auto";
  std::string dtype = "auto";
  std::string network_g = "sr-small";       ///< the generator to improve; a frozen copy is the reference
  std::string reward = "finpercep-rm";
  std::vector<int64_t> stages = {0, 1, 2, 3, 4};
  std::vector<int64_t> stage_iters = {40, 40, 40, 40, 80};
  PairSettings datasets;
  RewardSignalSettings signal;
  std::vector<int64_t> refl_steps = {1};  ///< the step with gradient is drawn from these; 1 is the picture that the user gets
  double reward_weight = 0.02;
  double pixel_weight = 0.0;                 ///< the generator's own training loss (ReFL's pre-training loss)
  double reference_weight = 1.0;             ///< frozen reference
  double lr_weight = 0.5;                    ///< LR consistency
  int64_t lr_block = 16;                     ///< pixels averaged for it
  int64_t coevolve_freq = 1;                 ///< generator updates for one reward update; 0: the reward stays frozen
  RewardLossSettings reward_losses;
  MaskSettings masks;
  OptimSettings optim_g, optim_r;
  double ema_decay = 0.98;
  int64_t print_freq = 10;
  int64_t save_checkpoint_freq = 100;
  int64_t val_freq = 20;
  int64_t val_count = 8;                     ///< held-out photographs that are measured; none where val_photos is empty
  int64_t val_size = 192;
  PhotoSettings val_photos;
  RlSettings();
  void visit(SettingsVisitor& v);
};

/// Writes checkpoints/generator.safetensors (EMA, fp16) and checkpoints/reward.safetensors into the run directory. metrics.jsonl holds, for
/// every print_freq iterations, the reward and its parts and all losses; every val_freq the held-out PSNR-Y and LPIPS-alex, which nothing is
/// trained or stopped by.
void run_rl(const RlSettings& settings, const std::filesystem::path& run_directory, bool resume);

}  // namespace finpercep
