// SPDX-License-Identifier: Apache-2.0
// ReFL (Xu et al., ImageReward, NeurIPS 2023), for any policy: the chain runs without gradient to a late step, one step with
// gradient predicts x0, and the reward of x0 is maximised directly.
#pragma once
#include "finpercep/generate/generator.h"

namespace finpercep {

/// x_t from the generator's own chain, without gradient, and x0 = f(x_t, y, t) with it. `t` in 1..T.
struct Prediction {
  at::Tensor x_t, x0;
};
Prediction refl_prediction(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t t);

/// mean max(0, target - reward): the gradient stops where the reward has reached its target. reward, target: N.
at::Tensor refl_loss(const at::Tensor& reward, const at::Tensor& target);

/// Anchors that keep the policy near what it was and faithful to its input.
/// Frozen reference: mean (x0 - x0_ref)^2; for ResShift this is the KL of the step up to its weight, alpha_t / (2 kappa^2 eta_t eta_{t-1}).
at::Tensor reference_anchor(const at::Tensor& x0, const at::Tensor& x0_reference);
/// LR consistency: mean absolute difference of the pictures averaged over `block` x `block` pixels. Low frequencies (colour, brightness)
/// must stay those of the input; noise and JPEG blocks of the LR picture lie above.
at::Tensor lr_consistency(const at::Tensor& x0, const at::Tensor& y, int64_t block);

}  // namespace finpercep
