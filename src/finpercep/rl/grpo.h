// SPDX-License-Identifier: Apache-2.0
// GRPO on the steps of a chain (Flow-GRPO, Liu et al. 2025; DanceGRPO, Xue et al. 2025): PPO's clipped ratio with advantages within groups.
// Log-probabilities are means over numbers, which is what a clip range of 1e-4 is made for.
#pragma once
#include "finpercep/generate/policy.h"
#include "finpercep/rl/advantage.h"

namespace finpercep {

struct GrpoSettings {
  std::vector<int64_t> steps = {};  ///< of the chain that are learned from; empty: all but the last, which is deterministic
  int64_t window = 0;               ///< so many of them, drawn for each iteration; 0: all
  int64_t updates = 2;              ///< of the generator for one batch of pictures
  double clip = 1e-4;
  bool guard = true;
  double kl_beta = 0.01;
  double adv_clip = 5;
  void visit(SettingsVisitor& v);
};

/// Log of the ratio by cell, N x 1 x h x w: how much more likely `now` is than `old` to draw x. 0 exactly where the two are equal.
at::Tensor log_ratio(const GaussianStep& now, const GaussianStep& old, const at::Tensor& x, int64_t cell);
/// GRPO-Guard's (Wang et al. 2025): std log r + |mean - mean_old|^2 / (2 std), which is the mean of e (mean - mean_old) for the noise e
/// that was drawn. log_ratio's own mean lies below 0 by the second term, so that ratios stay under 1 and the clip on rewarded pictures
/// never acts.
at::Tensor guarded_log_ratio(const GaussianStep& now, const GaussianStep& old, const at::Tensor& x, int64_t cell);
/// GRPO-Guard's weight of step t, which undoes that steps differ in how far the net's output moves them. Its 1 / dt is for nets that
/// predict v; these predict x0: the inverse of its share in the mean of the policy's step (of ResShift alpha_t / eta_t), mean 1 over
/// `steps`.
double guard_weight(const ResShiftSchedule& schedule, int64_t t, const std::vector<int64_t>& steps, const PolicySettings& policy);

struct GrpoLoss {
  at::Tensor loss;  ///< mean over live cells of max(-A r, -A clip(r, 1 - c, 1 + c)); 0 where nothing is live
  double ratio_mean = 1, clip_fraction = 0;
};
GrpoLoss grpo_loss(const at::Tensor& log_ratio, const Advantage& advantage, double clip);

}  // namespace finpercep
