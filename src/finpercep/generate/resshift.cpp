// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/resshift.h"

#include <cmath>

namespace finpercep {

ResShiftSchedule resshift_schedule(int64_t steps, double kappa, double min_noise, double power) {
  TORCH_CHECK(steps >= 2, "resshift_schedule: expected at least 2 steps, found ", steps);
  ResShiftSchedule schedule{.kappa = kappa, .eta = {0}, .time = {0}};
  const double first = min_noise / 2;
  const double base = std::pow(0.99 / first, 1.0 / static_cast<double>(steps - 1));
  for (int64_t t = 1; t <= steps; ++t) {
    const double position = std::pow(static_cast<double>(t - 1) / static_cast<double>(steps - 1), power) * static_cast<double>(steps - 1);
    const double root = first * std::pow(base, position);
    schedule.eta.push_back(root * root);
    schedule.time.push_back(static_cast<double>(t) / static_cast<double>(steps));
  }
  return schedule;
}

double ResShiftSchedule::noise(int64_t t) const { return kappa * (flow ? eta.at(t) : std::sqrt(eta.at(t))); }

ResShiftSchedule thinned(const ResShiftSchedule& schedule, int64_t steps) {
  TORCH_CHECK(steps >= 1 && steps <= schedule.steps(), "thinned: expected 1 to ", schedule.steps(), " steps, found ", steps);
  ResShiftSchedule fewer = schedule;
  fewer.eta = {0};
  fewer.time = {0};
  for (int64_t k = 1; k <= steps; ++k) {
    const auto t = static_cast<std::size_t>((2 * k * schedule.steps() + steps) / (2 * steps));  // k T / steps, rounded
    fewer.eta.push_back(schedule.eta.at(t));
    fewer.time.push_back(schedule.time.at(t));
  }
  return fewer;
}

ResShiftSchedule timed_as(ResShiftSchedule schedule, const ResShiftSchedule& trained) {
  for (int64_t t = 1; t <= schedule.steps(); ++t) {
    const auto distance = [&](int64_t k) { return std::abs(std::sqrt(trained.eta[k]) - std::sqrt(schedule.eta[t])); };
    int64_t nearest = 1;
    for (int64_t k = 2; k <= trained.steps(); ++k)
      if (distance(k) < distance(nearest)) nearest = k;
    schedule.time[t] = trained.time[nearest];
  }
  return schedule;
}

at::Tensor diffuse(const ResShiftSchedule& schedule, const at::Tensor& x0, const at::Tensor& y, const at::Tensor& noise,
                   const at::Tensor& t) {
  at::Tensor eta = at::empty({x0.size(0), 1, 1, 1}, at::kFloat), spread = at::empty_like(eta);
  for (int64_t n = 0; n < x0.size(0); ++n) {
    eta[n].fill_(schedule.eta.at(t[n].item<int64_t>()));
    spread[n].fill_(schedule.noise(t[n].item<int64_t>()));
  }
  return x0 + eta.to(x0.device()) * (y - x0) + spread.to(x0.device()) * noise;
}

at::Tensor posterior_mean(const ResShiftSchedule& schedule, const at::Tensor& x_t, const at::Tensor& x0, int64_t t) {
  return x_t * (schedule.eta.at(t - 1) / schedule.eta.at(t)) + x0 * (schedule.alpha(t) / schedule.eta.at(t));
}

double posterior_std(const ResShiftSchedule& schedule, int64_t t) {
  if (schedule.flow) return 0;
  return schedule.kappa * std::sqrt(schedule.eta.at(t - 1) / schedule.eta.at(t) * schedule.alpha(t));
}

}  // namespace finpercep
