// SPDX-License-Identifier: Apache-2.0
// Flow matching (Lipman et al. 2023; rectified flow, Liu et al. 2023) on ResShift's road, from y plus noise to the clean x0:
//   x_t = (1 - t) x0 + t x1,   x1 = y + kappa e,   v = x1 - x0,   t from 1 to 0.
// In u = (x - y) / kappa this is the usual flow from a standard normal, so every formula below is the published one in u. The score, which
// the stochastic steps need, is that of N((1-t) x0 + t y, (t kappa)^2) averaged over x0:
//   s = -(x1' - y) / (t kappa^2),   x1' = x + (1 - t) v = E[x1 | x],
// centred on y and scaled by kappa: the formulas for a start from pure noise (y = 0, kappa = 1) are wrong here.
#pragma once
#include "finpercep/generate/resshift.h"

namespace finpercep {

/// eta[k] = time[k] = k / steps. As a ResShiftSchedule it is diffused, rolled out and trained by the same code: `posterior_mean` is the
/// Euler step of the ODE, `posterior_std` is 0.
ResShiftSchedule flow_schedule(int64_t steps, double kappa);

/// v of the net's x0: (x_t - x0) / t.
at::Tensor flow_velocity(const at::Tensor& x_t, const at::Tensor& x0, double t);

/// Euler's step of dx = v dt.
GaussianStep ode_step(const at::Tensor& x_t, const at::Tensor& v, double t, double next);

/// Euler-Maruyama's step of the SDE with the same marginals, dx = (v - kappa^2 sigma^2 s / 2) dt + kappa sigma dw, for any sigma (in units
/// of kappa): Flow-SDE (Flow-GRPO 2025) `flow_sde_sigma`, Dance-SDE (DanceGRPO 2025) a constant, e.g. 0.3.
GaussianStep sde_step(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& y, double kappa, double t, double next, double sigma);
/// a sqrt(t / (1 - t)); at t = 1, where that is infinite, the denominator takes `next`.
double flow_sde_sigma(double a, double t, double next);

/// Coefficients-preserving sampling (Wang & Yu 2025): the noise at `next` is a mixture of the predicted one and fresh one, eta in [0,1] of
/// a right angle. Cleaner pictures than an SDE's, but less spread than the marginal has.
GaussianStep cps_step(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& y, double kappa, double t, double next, double eta);

}  // namespace finpercep
