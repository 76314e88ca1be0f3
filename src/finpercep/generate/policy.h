// SPDX-License-Identifier: Apache-2.0
// The generator as a stochastic policy: step t of its chain draws x_{t-1} ~ N(mean, std^2), so RL can ask how likely it was to draw what it
// drew.
//   ResShift  the exact posterior (Yue, Wang & Loy 2023), which is how the chain is sampled anyway
//   flow      the ODE is deterministic; in its place an SDE of the same marginals (Flow-GRPO, Liu et al. 2025) or CPS (Wang & Yu 2025).
//             What learns from pictures and not from probabilities may have the ODE itself
// The last step (t = 1) is deterministic for all of them: its mean is the picture, and it has no part in any log-probability.
// Everything here is computed in fp32, whatever precision the net ran in: a ratio of probabilities is exp of a small difference.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/generate/generator.h"

namespace finpercep {

struct PolicySettings {
  std::string flow_sampler = "sde";
  double flow_noise = 0.7;
  void visit(SettingsVisitor& v);
};

/// What step t of the chain (t in 1..T) draws at x_t where the net predicts x0.
GaussianStep policy_step(const ResShiftSchedule& schedule, const at::Tensor& x_t, const at::Tensor& y, const at::Tensor& x0, int64_t t,
                         const PolicySettings& settings);

/// log N(x; mean, std^2) of every number of x, in its shape. std > 0.
at::Tensor log_density(const GaussianStep& step, const at::Tensor& x);
/// KL(N(mean, std^2) || N(reference, std^2)) of every number, in the shape of the means: (mean - reference)^2 / (2 std^2).
at::Tensor step_divergence(const GaussianStep& step, const GaussianStep& reference);

/// A chain as it was run: what a later update needs to ask for the probability of the same draws.
struct Rollout {
  at::Tensor y;
  std::vector<at::Tensor> states;   ///< x_0 .. x_T, N x 3 x H x W; states[0] is the picture, not clamped
  std::vector<GaussianStep> steps;  ///< steps[t] drew states[t-1]; steps[0] is empty
  const at::Tensor& picture() const { return states.front(); }
};

/// T normal tensors: noise[0] starts the chain, noise[k] is drawn by step T - k + 1.
std::vector<at::Tensor> draw_policy_noise(const Generator& generator, Random& random, at::IntArrayRef shape, at::Device device);
/// Runs the policy without gradient. For ResShift the picture is bit for bit that of generator.roll_out.
Rollout roll_out_policy(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise,
                        const PolicySettings& settings);
/// The step's distribution under the generator as it is now, with gradient; `x0` receives its prediction where it is not null.
GaussianStep step_again(const Generator& generator, const Rollout& rollout, int64_t t, const PolicySettings& settings,
                        at::Tensor* x0 = nullptr);

}  // namespace finpercep
