// SPDX-License-Identifier: Apache-2.0
// Training of FinPercep-RM, stage by stage, on FGR samples.
#pragma once
#include <filesystem>
#include <string>

#include "finpercep/nets/train_loop.h"
#include "finpercep/reward/model.h"
#include "finpercep/reward/opinion.h"
#include "finpercep/reward/samples.h"

namespace finpercep {

struct RewardLossSettings {
  double map_weight = 1.0;
  double cross_entropy_weight = 1.0;  ///< of the map's cross-entropy beside L1; 0 is the paper's form, whose maps collapse to zero here
  double correlation_weight = 0;      ///< of 1 - the correlation of map and label within a picture
  bool sr_labels =
      false;  ///< I_SR is trained on labels too: its map inside the mask, its score by their mean there; false: the paper's form
  double rank_weight = 1.0;
  double align_weight = 0.5;
  double opinion_weight = 1.0;  ///< of the regression of S on the opinion: the teachers' for RM_0, the label's for the stages above
  double margin1 = 0.1;         ///< m1: S_syn over S_SR
  double margin2 = 0.1;         ///< m2: S_GT over S_syn
  double balance = 0.5;         ///< of defect and clean pixels in the map loss
  void visit(SettingsVisitor& v);
};

struct RewardLoss {
  at::Tensor total;
  double map = 0, correlation = 0, rank = 0, align = 0, opinion = 0;  ///< of the newest stage, unweighted
  double order = 0;  ///< share of samples with S_SR < S_syn < S_GT at the newest stage, where the order is defined
};
/// The weighted sum over stages 0..stage (each stage judged by its own map and head; the newest counts as much as all others together).
/// `base_score_gt`: S_base(I_GT).
RewardLoss reward_loss(const RewardModel& model, const FgrBatch& batch, const at::Tensor& base_score_gt, int64_t stage,
                       const RewardLossSettings& settings);

/// RM_0: |S - opinion| of pictures and of their clean originals, and the clean one ranked above by margin2 where the opinion differs by
/// that much.
RewardLoss base_loss(const RewardModel& model, const at::Tensor& gt, const at::Tensor& picture, const at::Tensor& opinion,
                     const RewardLossSettings& settings);

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
