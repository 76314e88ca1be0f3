// SPDX-License-Identifier: Apache-2.0
// Training of FinPercep-RM, stage by stage, on FGR samples.
#pragma once
#include <filesystem>
#include <string>

#include "finpercep/nets/train_loop.h"
#include "finpercep/reward/objective.h"
#include "finpercep/reward/opinion.h"

namespace finpercep {

struct RewardTrainSettings {
  int64_t manual_seed = 0;
  std::string device = "auto";
  std::string dtype = "auto";
  std::vector<std::string> fgr_dirs = {};  ///< of shards written by `finpercep fgr build`, whose labels mean the same; none: made in memory
  bool fgr_varied = true;                  ///< also the samples whose clean photograph was varied
  std::vector<std::string> fgr_without =
      {};  ///< sources whose samples are left out, by the start of their names: what is learnt of a family from the others
  std::vector<std::string> val_fgr_dirs = {};  ///< of photographs that no training sample is cut from; none: nothing held out is measured
  int64_t val_count = 96;                      ///< samples of them
  FgrSettings fgr;
  SampleSettings samples;
  double gray_prob = 0.1;  ///< share of the samples whose pictures lose their colours: a gray photograph is no defect. Not of RM_0's
                           ///< opinions, some of which are about colours
  OpinionSettings opinions;
  RewardSettings network;
  std::string pretrain_network_r = "";  ///< start from this model in place of the encoder alone: its net, its RM_0 as the frozen base, its
                                        ///< newest stage the first that is trained
  double pretrain_share =
      0;  ///< of pretrain_network_r's weights in what is saved: a mean knows both sets (WiSE-FT, Wortsman et al., CVPR 2022)
  RewardLossSettings losses;
  std::vector<int64_t> stage_iters = {400, 300, 300, 300, 400};  ///< iterations of RM_0, or of pretrain_network_r's stage, .. RM_stage
  int64_t batch_size = 6;
  int64_t num_worker = 1;  ///< threads that make batches ahead
  OptimSettings optim;
  double encoder_lr_ratio = 0.3;  ///< the pretrained encoder learns at this share of lr; 0: it is frozen
  int64_t frozen_blocks = 0;      ///< stem and this many first blocks of the encoder stay as they were pretrained
  double ema_decay = 0.99;
  int64_t print_freq = 50;
  int64_t save_checkpoint_freq = 250;
  void visit(SettingsVisitor& v);
};

/// Writes checkpoints/reward.safetensors (fp16) and checkpoints/reward-stage-K.safetensors at the end of each stage, and as often as the
/// state; then what is saved is measured on val_fgr_dirs (the losses and the order, logged as val_*).
void train_reward(const RewardTrainSettings& settings, const std::filesystem::path& run_directory, bool resume);

}  // namespace finpercep
