// SPDX-License-Identifier: Apache-2.0
// Settings of an RL run.
#pragma once
#include <string>
#include <vector>

#include "finpercep/curriculum/monitor.h"
#include "finpercep/curriculum/schedule.h"
#include "finpercep/generate/policy.h"
#include "finpercep/generate/train.h"
#include "finpercep/nets/lora.h"
#include "finpercep/reward/objective.h"
#include "finpercep/rl/awm.h"
#include "finpercep/rl/dpo.h"
#include "finpercep/rl/grpo.h"
#include "finpercep/rl/nft.h"

namespace finpercep {

struct DraftSettings {
  int64_t steps = 2;  ///< K
  void visit(SettingsVisitor& v);
};

struct RlSettings {
  int64_t manual_seed = 0;
  std::string device = "auto";
  std::string dtype = "auto";
  std::string network_g = "sr-small";  ///< the generator to improve; a frozen copy is the reference
  std::string reward = "finpercep-rm-rl";
  std::vector<int64_t> stages = {0, 1, 2, 3, 4};
  std::vector<int64_t> stage_iters = {40, 40, 40, 40, 80};
  std::string schedule = "fixed";
  AutoScheduleSettings auto_schedule;
  PairSettings datasets;
  RewardSignalSettings signal;
  CreditSettings credit;
  std::string algorithm = "refl";
  std::vector<int64_t> refl_steps = {1};  ///< the step with gradient is drawn from these; 1 is the picture that the user gets
  DraftSettings draft;
  int64_t group_size = 8;  ///< grpo, awm, nft, dpo: pictures made of one LR picture
  PolicySettings policy;
  GrpoSettings grpo;
  AwmSettings awm;
  NftSettings nft;
  DpoSettings dpo;
  double reward_weight = 0.02;   ///< of the algorithm's loss
  double pixel_weight = 0.0;     ///< the generator's own training loss (ReFL's pre-training loss)
  GeneratorLossSettings losses;  ///< which that is
  std::string pixel_states = "diffused";
  double reference_weight = 1.0;         ///< frozen reference
  double lr_weight = 0.5;                ///< LR consistency
  int64_t lr_block = 16;                 ///< pixels averaged for it
  int64_t coevolve_freq = 1;             ///< iterations for one reward update; 0: the reward stays frozen
  double label_alpha = -1;               ///< share of the pixels in the labels of its samples; -1: as the reward was trained
  double coevolve_distort = 0;           ///< share of its samples whose I_SR is the photograph with a planted distortion
  VariationSettings coevolve_variation;  ///< of its samples' I_GT, while I_SR stays as it is
  RewardLossSettings reward_losses;
  MaskSettings masks;
  int64_t accumulate = 1;   ///< batches for one update of the generator
  double guard_ratio = 20;  ///< an update of the generator is left out if its gradient is so many times larger than usual; 0: never
  LoraSettings lora;
  OptimSettings optim_g, optim_r;
  double ema_decay = 0.98;
  int64_t print_freq = 10;
  int64_t save_checkpoint_freq = 100;
  int64_t val_freq = 20;
  ValSettings val;                      ///< val_count, val_size, val_photos
  int64_t sample_count = 4;             ///< of them shown in samples/ITERATION.png
  std::vector<int64_t> snapshots = {};  ///< iterations whose averaged generator is kept as checkpoints/generator-ITERATION
  MonitorSettings monitor;
  RlSettings();
  int64_t total_iter() const { return FixedSchedule{stages, stage_iters}.total(); }  ///< of all stages
  void visit(SettingsVisitor& v);
};

/// What can be told before a picture is read: usage_error in one line for stages, steps, sides, cells, masks and groups that do not fit
/// each other, the generator or the reward's `finest` stage.
void check(const RlSettings& settings, const Generator& generator, int64_t finest);

}  // namespace finpercep
