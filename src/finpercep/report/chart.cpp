// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "finpercep/report/report.h"

namespace finpercep {
namespace {

using Points = std::vector<std::pair<double, double>>;

/// Centred mean over `window` values; at the ends over those of them that exist.
Points smoothed(const Points& points, int window) {
  std::vector<double> sum(points.size() + 1, 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) sum[i + 1] = sum[i] + points[i].second;
  Points out = points;
  const auto n = static_cast<int64_t>(points.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t begin = std::max<int64_t>(0, i - window / 2), end = std::min<int64_t>(n, i + window / 2 + 1);
    out[i].second = (sum[end] - sum[begin]) / static_cast<double>(end - begin);
  }
  return out;
}

}  // namespace

Chart chart_from_metrics(const std::vector<std::map<std::string, double>>& metrics, const std::vector<std::string>& keys,
                         const std::string& title, const std::string& y_label, int window) {
  Chart chart{.title = title, .x_label = "step", .y_label = y_label, .curves = {}, .markers = {}};
  for (const auto& key : keys) {
    Points points;
    for (const auto& line : metrics) {
      const auto step = line.find("step"), value = line.find(key);
      if (step != line.end() && value != line.end() && std::isfinite(value->second)) points.emplace_back(step->second, value->second);
    }
    if (points.empty()) continue;
    if (window > 1 && points.size() > 2) {
      chart.curves.push_back({key, points, true});
      chart.curves.push_back({key, smoothed(points, window), false});
    } else {
      chart.curves.push_back({key, std::move(points), false});
    }
  }
  return chart;
}

}  // namespace finpercep
