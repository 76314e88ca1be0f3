// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/flow.h"

#include <cmath>
#include <numbers>

namespace finpercep {

ResShiftSchedule flow_schedule(int64_t steps, double kappa) {
  ResShiftSchedule schedule{.kappa = kappa, .flow = true};
  for (int64_t k = 0; k <= steps; ++k) schedule.eta.push_back(static_cast<double>(k) / static_cast<double>(steps));
  schedule.time = schedule.eta;
  return schedule;
}

at::Tensor flow_velocity(const at::Tensor& x_t, const at::Tensor& x0, double t) { return (x_t - x0) / t; }

GaussianStep ode_step(const at::Tensor& x_t, const at::Tensor& v, double t, double next) { return {x_t + v * (next - t), 0}; }

GaussianStep sde_step(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& y, double kappa, double t, double next, double sigma) {
  const double dt = next - t;
  const at::Tensor from_y = x_t + (1 - t) * v - y;  // -t kappa^2 times the score
  return {x_t + v * dt + from_y * (sigma * sigma / (2 * t) * dt), kappa * sigma * std::sqrt(-dt)};
}

double flow_sde_sigma(double a, double t, double next) { return a * std::sqrt(t / (1 - (t < 1 ? t : next))); }

GaussianStep cps_step(const at::Tensor& x_t, const at::Tensor& v, const at::Tensor& y, double kappa, double t, double next, double eta) {
  const double angle = eta * std::numbers::pi / 2;
  const at::Tensor x0 = x_t - t * v, from_y = x_t + (1 - t) * v - y;
  return {(1 - next) * x0 + next * (y + std::cos(angle) * from_y), kappa * next * std::sin(angle)};
}

}  // namespace finpercep
