// SPDX-License-Identifier: Apache-2.0
// From a judgement to the number that RL maximises: R_k = l1 S_bar + l2 (1 - pool(M)), the paper's decoupled fusion.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/reward/model.h"

namespace finpercep {

struct RewardSignalSettings {
  double score_weight = 1.0;  ///< l1
  double map_weight = 0.5;    ///< l2
  std::string pool = "top";   ///< max (the paper), top (mean of the worst share), softmax (log-mean-exp), mean
  double top_share = 0.2;     ///< of pixels, for pool = top
  double sharpness = 20;      ///< for pool = softmax: large is the maximum, small the mean
  void visit(SettingsVisitor& v);
};

/// The picture as a file of it holds it, which is what users get and the reward was trained on: clamped to [0,1] and rounded to 8 bits. The
/// gradient passes as if it were not rounded. (Unrounded, logit S of sr-small's pictures is off by .3.)
at::Tensor as_file(const at::Tensor& picture);
/// In fp32, whatever autocast is on around it: in bf16 the pictures of one input, which differ by little, are put in another order, and the
/// gradient's cosine to the true one is .55 to .9.
Judgement judge_exactly(const RewardModel& reward, const at::Tensor& pictures, int64_t stage);

/// Severity of a picture: N x 1 x H x W -> N. "max" sends its gradient to one pixel, "top" to the worst share of them, "softmax" to all,
/// the worst most: log(mean exp(sharpness m)) / sharpness.
at::Tensor pool_map(const at::Tensor& map, const RewardSignalSettings& settings);
/// The same of every cell of `cell` x `cell` pixels: N x 1 x H/cell x W/cell; of the whole picture where cell is 0: N x 1 x 1 x 1.
at::Tensor pool_cells(const at::Tensor& map, const RewardSignalSettings& settings, int64_t cell);

/// Mean and variance of the score logits seen, exponentially forgotten; what normalises S.
struct RunningScore {
  double mean = 0, square = 0, weight = 0;
  void add(const at::Tensor& scores, double decay = 0.98);
  at::Tensor normalised(const at::Tensor& scores) const;  ///< (scores - mean) / deviation; as they are before the first add()
  double deviation() const;                               ///< at least 0.1, so that a reward without spread is not blown up
};

/// N. S_bar = (logit S - mean) / deviation; of the logit, because a saturated S has no gradient left. At stage 0 the map is constant, and
/// so is its term.
at::Tensor reward_value(const Judgement& judgement, const RunningScore& running, const RewardSignalSettings& settings);

}  // namespace finpercep
