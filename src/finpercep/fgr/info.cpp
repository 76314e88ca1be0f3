// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/info.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace finpercep {

namespace {

constexpr int area_bins = 8, severity_bins = 10;

FgrHistogram counted(const std::string& name, const FgrSet& set, std::string FgrFacts::*member, const std::string& empty) {
  std::map<std::string, int64_t> counts;
  for (int64_t i = 0; i < set.size(); ++i) ++counts[set.facts(i).*member];
  FgrHistogram histogram{name, {}};
  for (const auto& [key, count] : counts) histogram.bins.emplace_back(key.empty() ? empty : key, count);
  return histogram;
}

FgrHistogram empty_bins(const std::string& name, const std::vector<double>& edges) {
  FgrHistogram histogram{name, {}};
  for (std::size_t k = 0; k + 1 < edges.size(); ++k) histogram.bins.emplace_back(fmt::format("{:.3g}..{:.3g}", edges[k], edges[k + 1]), 0);
  return histogram;
}

// What lies outside counts with the nearest bin.
void add(FgrHistogram& histogram, const std::vector<double>& edges, double value) {
  const auto above = std::upper_bound(edges.begin() + 1, edges.end() - 1, value);
  ++histogram.bins[above - edges.begin() - 1].second;
}

}  // namespace

std::vector<FgrHistogram> fgr_histograms(const FgrSet& set, const std::array<double, 2>& areas) {
  std::vector<double> area_edges, severity_edges;
  const int bins = areas[0] < areas[1] ? area_bins : 1;
  for (int k = 0; k <= bins; ++k) area_edges.push_back(areas[0] * std::pow(areas[1] / areas[0], static_cast<double>(k) / bins));
  for (int k = 0; k <= severity_bins; ++k) severity_edges.push_back(static_cast<double>(k) / severity_bins);
  FgrHistogram area = empty_bins("area", area_edges), severity = empty_bins("severity", severity_edges);
  for (int64_t i = 0; i < set.size(); ++i) {
    const FgrFacts& facts = set.facts(i);
    if (facts.mask != "whole") add(area, area_edges, facts.area);
    if (!is_control(facts)) add(severity, severity_edges, facts.severity);
  }
  return {counted("source", set, &FgrFacts::source, ""), counted("mask", set, &FgrFacts::mask, ""),
          counted("variation", set, &FgrFacts::variation, "none"), area, severity};
}

std::vector<std::string> fgr_gaps(const std::vector<FgrHistogram>& histograms, const FgrSettings& settings) {
  std::vector<std::string> gaps;
  for (const FgrHistogram& histogram : histograms) {
    for (const auto& [bin, count] : histogram.bins)
      if (count == 0) gaps.push_back(fmt::format("{}: no sample in {}", histogram.name, bin));
    if (histogram.name != "source") continue;
    for (const std::string& source : settings.sources) {
      const std::string recorded = source == "distort-all" ? "distort" : source;  // with the kind behind it, of either
      if (std::ranges::none_of(histogram.bins,
                               [&](const auto& bin) { return bin.first == recorded || bin.first.starts_with(recorded + ":"); }))
        gaps.push_back(fmt::format("source: no sample of {}", source));
    }
  }
  return gaps;
}

}  // namespace finpercep
