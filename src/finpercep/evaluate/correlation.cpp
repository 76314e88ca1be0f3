// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/correlation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "finpercep/base/error.h"

namespace finpercep {

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size())
    throw usage_error(fmt::format("correlation: expected two lists of equal length, found {} and {}", a.size(), b.size()));
  const auto n = static_cast<double>(a.size());
  const double ma = std::accumulate(a.begin(), a.end(), 0.0) / n, mb = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double va = 0, vb = 0, cov = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    va += (a[i] - ma) * (a[i] - ma);
    vb += (b[i] - mb) * (b[i] - mb);
    cov += (a[i] - ma) * (b[i] - mb);
  }
  // Rounding alone gives a constant list some spread.
  const bool flat = a.size() < 2 || va <= 1e-12 * n * (1 + ma * ma) || vb <= 1e-12 * n * (1 + mb * mb);
  return flat ? std::numeric_limits<double>::quiet_NaN() : cov / std::sqrt(va * vb);
}

std::vector<double> ranks(const std::vector<double>& values) {
  if (std::ranges::any_of(values, [](double v) { return std::isnan(v); }))  // they have no order
    return std::vector<double>(values.size(), std::numeric_limits<double>::quiet_NaN());
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return values[i] < values[j]; });
  std::vector<double> out(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (std::size_t k = first; k < end; ++k) out[order[k]] = 0.5 * static_cast<double>(first + 1 + end);
    first = end;
  }
  return out;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) { return pearson(ranks(a), ranks(b)); }

Interval bootstrap_correlation(Correlation correlation, const std::vector<double>& a, const std::vector<double>& b,
                               const BootstrapOptions& options, const std::vector<std::string>& groups) {
  if (a.size() != b.size())
    throw usage_error(fmt::format("correlation: expected two lists of equal length, found {} and {}", a.size(), b.size()));
  std::vector<double> x, y;
  return bootstrap_statistic(
      static_cast<int64_t>(a.size()),
      [&](const std::vector<int64_t>& items) {
        x.clear();
        y.clear();
        for (const int64_t i : items) {
          x.push_back(a[i]);
          y.push_back(b[i]);
        }
        return correlation(x, y);
      },
      options, groups);
}

}  // namespace finpercep
