// SPDX-License-Identifier: Apache-2.0
// Spatial credit: where in the picture a reward is earned. The map judges regions, so every algorithm may be paid by region: square cells
// of `cell` pixels. cell = 0 is one cell, the whole picture, and gives each algorithm its published form. Values by cell are N x 1 x h x w;
// by picture h = w = 1, which broadcasts over cells.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/rl/reward_signal.h"

namespace finpercep {

struct CreditSettings {
  bool spatial = false;
  int64_t cell = 32;
  double focus = 1;
  void visit(SettingsVisitor& v);
  int64_t cells() const { return spatial ? cell : 0; }  ///< what the functions here take as `cell`
};

/// Mean over channels and the pixels of each cell. Sides of x are multiples of `cell`.
at::Tensor cell_mean(const at::Tensor& x, int64_t cell);

/// The parts of R_k that are compared within a group, as (weight, value by cell): S_bar, of the picture, and 1 - pool(M) of each cell.
using RewardParts = std::vector<std::pair<double, at::Tensor>>;
RewardParts reward_parts(const Judgement& judgement, const RunningScore& running, const RewardSignalSettings& settings, int64_t cell);

/// Weight of each pixel's gradient, N x 1 x H x W with mean 1 in each picture: (1 + focus M) of its cell over the picture's mean.
at::Tensor defect_weight(const at::Tensor& map, int64_t cell, double focus);
/// x with the gradient that flows back through it multiplied by `weight`; its value is x to the bit.
at::Tensor weigh_gradient(const at::Tensor& x, const at::Tensor& weight);

}  // namespace finpercep
