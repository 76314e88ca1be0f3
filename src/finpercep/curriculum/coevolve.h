// SPDX-License-Identifier: Apache-2.0
// Co-evolution: the reward keeps learning on FGR samples made of the pictures that the generator makes now.
#pragma once
#include "finpercep/curriculum/players.h"
#include "finpercep/fgr/label.h"

namespace finpercep {

/// `facts` for labels with another share of the pixels: `alpha`, and the scale at which whole pictures `sr` of `gt` (lists of N x 3 x H x
/// W) differ from them by as much as before. Without it, a reward taught by pixels alone would learn milder labels as well.
RewardFacts relabelled(RewardFacts facts, double alpha, const LabelFeatures& features, const std::vector<at::Tensor>& gt,
                       const std::vector<at::Tensor>& sr);

/// One update of the whole ladder on `sr` (N x 3 x H x W, of batch.gt), swapped by region into the clean pictures. `iter` keys the regions.
StepResult improve_reward(Players& players, const LabelFeatures& features, const RlBatch& batch, const at::Tensor& sr,
                          const RlSettings& settings, const Compute& compute, uint64_t iter, double lr);

}  // namespace finpercep
