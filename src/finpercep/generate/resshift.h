// SPDX-License-Identifier: Apache-2.0
// ResShift (Yue, Wang & Loy, NeurIPS 2023): a diffusion whose chain runs from the up-sampled LR picture y to the clean x0 in T steps,
//   x_t = x0 + eta_t (y - x0) + kappa sqrt(eta_t) e,   e ~ N(0, I).
// Its posterior is Gaussian in closed form, so as an RL policy it has exact means, deviations and log-probabilities.
// Pictures here lie in [0,1]; the paper's kappa = 2 on [-1,1] is kappa = 1 on [0,1]. Tables below are for the kappa given.
#pragma once
#include <torch/types.h>

#include <vector>

namespace finpercep {

/// What a step of a chain draws: N(mean, std^2), the same std at every pixel; 0 where the step is deterministic.
struct GaussianStep {
  at::Tensor mean;
  double std = 0;
};

struct ResShiftSchedule {
  double kappa = 1;
  std::vector<double> eta = {};   ///< eta[t], t = 0..T with eta[0] = 0
  std::vector<double> time = {};  ///< what the net is told of step t: t / T of the chain that it was trained on
  bool flow = false;  ///< flow matching on the same road (flow.h): noise kappa eta instead of kappa sqrt(eta), and none on the way
  int64_t steps() const { return static_cast<int64_t>(eta.size()) - 1; }
  int64_t draws() const { return flow ? 1 : steps(); }  ///< fields of noise a picture takes; an ODE's only one is its start
  double alpha(int64_t t) const { return eta[t] - eta[t - 1]; }
  double noise(int64_t t) const;  ///< deviation of x_t around x0 + eta_t (y - x0)
};

/// Section 3.2: sqrt(eta_1) = min(min_noise / kappa_ref, min_noise) with kappa_ref = 2, sqrt(eta_T) = 0.99, geometric in between with
/// exponent ((t-1)/(T-1))^power (T-1). Released settings: T = 15 min_noise .04; T = 4 min_noise .2; power .3.
ResShiftSchedule resshift_schedule(int64_t steps, double kappa, double min_noise, double power = 0.3);

/// A chain of fewer steps for a net trained on all of them: every so many of its steps, the last one included. Between any two of them the
/// posterior below is exact, as eta is all that it depends on.
ResShiftSchedule thinned(const ResShiftSchedule& schedule, int64_t steps);

/// The schedule with, at each step, the time of that step of `trained` whose sqrt(eta) is nearest: what a net that knows only those can be
/// told.
ResShiftSchedule timed_as(ResShiftSchedule schedule, const ResShiftSchedule& trained);

/// Eq. 5: x_t for t in 1..T. x0, y, noise: N x C x H x W; t: N int64 on the CPU.
at::Tensor diffuse(const ResShiftSchedule& schedule, const at::Tensor& x0, const at::Tensor& y, const at::Tensor& noise,
                   const at::Tensor& t);

/// Eq. 7: q(x_{t-1} | x_t, x0): mean = eta_{t-1}/eta_t x_t + alpha_t/eta_t x0, std = kappa sqrt(eta_{t-1}/eta_t alpha_t), 0 at t = 1.
at::Tensor posterior_mean(const ResShiftSchedule& schedule, const at::Tensor& x_t, const at::Tensor& x0, int64_t t);
double posterior_std(const ResShiftSchedule& schedule, int64_t t);

}  // namespace finpercep
