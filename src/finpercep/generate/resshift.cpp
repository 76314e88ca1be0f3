// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/resshift.h"

#include <algorithm>
#include <cmath>

namespace finpercep {

ResShiftSchedule resshift_schedule(int64_t steps, double kappa, double min_noise, double power) {
  TORCH_CHECK(steps >= 2, "resshift_schedule: expected at least 2 steps, found ", steps);
  ResShiftSchedule schedule{kappa, {0}};
  const double first = std::min(min_noise / 2, min_noise);
  const double base = std::pow(0.99 / first, 1.0 / static_cast<double>(steps - 1));
  for (int64_t t = 1; t <= steps; ++t) {
    const double position = std::pow(static_cast<double>(t - 1) / static_cast<double>(steps - 1), power) * static_cast<double>(steps - 1);
    const double root = first * std::pow(base, position);
    schedule.eta.push_back(root * root);
  }
  return schedule;
}

at::Tensor diffuse(const ResShiftSchedule& schedule, const at::Tensor& x0, const at::Tensor& y, const at::Tensor& noise, const at::Tensor& t) {
  at::Tensor eta = at::empty({x0.size(0), 1, 1, 1}, at::kFloat);
  for (int64_t n = 0; n < x0.size(0); ++n) eta[n].fill_(schedule.eta.at(t[n].item<int64_t>()));
  eta = eta.to(x0.device());
  return x0 + eta * (y - x0) + schedule.kappa * at::sqrt(eta) * noise;
}

at::Tensor posterior_mean(const ResShiftSchedule& schedule, const at::Tensor& x_t, const at::Tensor& x0, int64_t t) {
  return x_t * (schedule.eta.at(t - 1) / schedule.eta.at(t)) + x0 * (schedule.alpha(t) / schedule.eta.at(t));
}

double posterior_std(const ResShiftSchedule& schedule, int64_t t) {
  return schedule.kappa * std::sqrt(schedule.eta.at(t - 1) / schedule.eta.at(t) * schedule.alpha(t));
}

double kl_weight(const ResShiftSchedule& schedule, int64_t t) {
  TORCH_CHECK(t >= 2, "kl_weight: the last step (t = 1) is deterministic and has no KL");
  return schedule.alpha(t) / (2 * schedule.kappa * schedule.kappa * schedule.eta.at(t) * schedule.eta.at(t - 1));
}

}  // namespace finpercep
