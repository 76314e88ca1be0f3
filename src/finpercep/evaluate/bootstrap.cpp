// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "finpercep/base/error.h"
#include "finpercep/base/random.h"

namespace finpercep {

namespace {

// Linear between order statistics (Hyndman & Fan type 7, numpy's default).
double quantile(const std::vector<double>& sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / (static_cast<double>(values.size()) - 1));
}

Interval student_mean(const std::vector<double>& values) {
  // The 97.5 % quantile for 1 to 10 degrees of freedom, beyond these its expansion about the normal one (Abramowitz & Stegun 26.7.5).
  constexpr double quantiles[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281};
  static_assert(interval_confidence == 0.95);
  const double mean = mean_of(values);
  if (values.size() < 2) return {mean, mean, mean};
  const std::size_t freedom = values.size() - 1;
  const double z = 1.959964, f = static_cast<double>(freedom);
  const double t = freedom <= std::size(quantiles)
                       ? quantiles[freedom - 1]
                       : z + (z * z * z + z) / (4 * f) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * f * f);
  const double half = t * deviation_of(values) / std::sqrt(static_cast<double>(values.size()));
  return {mean, mean - half, mean + half};
}

Interval bootstrap_mean(const std::vector<double>& values, const BootstrapOptions& options, const std::vector<std::string>& groups) {
  const auto mean = [&](const std::vector<int64_t>& items) {
    double sum = 0;
    for (const int64_t i : items) sum += values[i];
    return sum / static_cast<double>(items.size());
  };
  return bootstrap_statistic(static_cast<int64_t>(values.size()), mean, options, groups);
}

Interval bootstrap_difference(const std::vector<double>& first, const std::vector<double>& second, const BootstrapOptions& options) {
  if (first.size() != second.size())
    throw usage_error(
        fmt::format("bootstrap: expected two lists of equal length, found {} and {}. a paired difference needs the same images",
                    first.size(), second.size()));
  std::vector<double> differences(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) differences[i] = first[i] - second[i];
  return bootstrap_mean(differences, options);
}

Interval bootstrap_statistic(int64_t count, const std::function<double(const std::vector<int64_t>&)>& statistic,
                             const BootstrapOptions& options, const std::vector<std::string>& groups) {
  if (count < 1) throw usage_error("bootstrap: expected at least one value, found none");
  if (options.resamples < 1) throw usage_error(fmt::format("bootstrap: expected at least 1 resample, found {}", options.resamples));
  std::vector<int64_t> items(count);
  std::iota(items.begin(), items.end(), int64_t{0});
  const double nothing = std::numeric_limits<double>::quiet_NaN();
  Interval out{statistic(items), nothing, nothing};
  std::map<std::string, std::vector<int64_t>> by_name;
  for (std::size_t i = 0; i < groups.size(); ++i) by_name[groups[i]].push_back(static_cast<int64_t>(i));
  std::vector<std::vector<int64_t>> drawn_together;
  for (auto& [name, members] : by_name) drawn_together.push_back(std::move(members));
  if ((groups.empty() ? items.size() : drawn_together.size()) == 1) return out;
  Random random(options.seed, "bootstrap");
  std::vector<double> values;
  for (int r = 0; r < options.resamples; ++r) {
    if (groups.empty()) {
      for (int64_t& item : items) item = random.integer(0, count - 1);
    } else {
      items.clear();
      for (std::size_t g = 0; g < drawn_together.size(); ++g) {
        const auto& members = drawn_together[random.integer(0, static_cast<int64_t>(drawn_together.size()) - 1)];
        items.insert(items.end(), members.begin(), members.end());
      }
    }
    const double value = statistic(items);
    if (std::isfinite(value)) values.push_back(value);
  }
  if (!std::isfinite(out.mean) || values.empty()) return {nothing, nothing, nothing};
  std::sort(values.begin(), values.end());
  constexpr double tail = (1 - interval_confidence) / 2;
  out.low = quantile(values, tail);
  out.high = quantile(values, 1 - tail);
  return out;
}

}  // namespace finpercep
