// SPDX-License-Identifier: Apache-2.0
// What FinPercep-RM is trained on, in its own training and while it learns along with a generator: the losses of losses.h, weighted, over
// all its stages.
#pragma once
#include <limits>

#include "finpercep/reward/model.h"
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
  double opinion_weight =
      1.0;  ///< of the regression of S on the opinion: the teachers' while RM_0 alone is trained, the label's afterwards (for RM_0 too)
  double margin1 = 0.1;  ///< m1: S_syn over S_SR
  double margin2 = 0.1;  ///< m2: S_GT over S_syn
  double balance = 0.5;  ///< of defect and clean pixels in the map loss
  void visit(SettingsVisitor& v);
};

struct RewardLoss {
  at::Tensor total;
  /// Of the newest stage, unweighted; NaN what it does not have (RM_0: no map; base_loss: no alignment).
  double map = std::numeric_limits<double>::quiet_NaN(), correlation = map, align = map, rank = 0, opinion = 0;
  double order = map;  ///< share of samples with S_SR < S_syn < S_GT at the newest stage, where the order is defined; NaN where it never is
};
/// The weighted sum over stages 0..stage (each stage judged by its own map and head; the newest counts as much as all others together).
/// `base_score_gt`: S_base(I_GT).
RewardLoss reward_loss(const RewardModel& model, const FgrBatch& batch, const at::Tensor& base_score_gt, int64_t stage,
                       const RewardLossSettings& settings);

/// RM_0: |S - opinion| of pictures and of their clean originals, and the clean one ranked above by margin2 where the opinion differs by
/// that much.
RewardLoss base_loss(const RewardModel& model, const at::Tensor& gt, const at::Tensor& picture, const at::Tensor& opinion,
                     const RewardLossSettings& settings);

}  // namespace finpercep
