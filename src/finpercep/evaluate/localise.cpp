// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/localise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "finpercep/base/interrupt.h"
#include "finpercep/base/error.h"
#include "finpercep/base/log.h"

namespace finpercep {

namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr int levels = 4096;  // of the map, for the measures that go through its thresholds

struct Counts {
  std::array<int64_t, levels> defect{}, clean{};
  int64_t defects = 0, cleans = 0;
};

Counts count_levels(const Image& map, const Image& label) {
  Counts counts;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    const int level = std::clamp(static_cast<int>(map.data[i] * levels), 0, levels - 1);
    const bool defect = label.data[i] >= defect_label;
    ++(defect ? counts.defect : counts.clean)[level];
    ++(defect ? counts.defects : counts.cleans);
  }
  return counts;
}

double auroc(const Counts& c) {
  if (c.defects == 0 || c.cleans == 0) return undefined;
  double area = 0, below = 0;
  for (int k = 0; k < levels; ++k) {
    area += static_cast<double>(c.defect[k]) * (below + 0.5 * static_cast<double>(c.clean[k]));
    below += static_cast<double>(c.clean[k]);
  }
  return area / (static_cast<double>(c.defects) * static_cast<double>(c.cleans));
}

double average_precision(const Counts& c) {
  if (c.defects == 0 || c.cleans == 0) return undefined;
  double area = 0, found = 0, taken = 0;
  for (int k = levels - 1; k >= 0; --k) {
    if (c.defect[k] + c.clean[k] == 0) continue;
    found += static_cast<double>(c.defect[k]);
    taken += static_cast<double>(c.defect[k] + c.clean[k]);
    area += static_cast<double>(c.defect[k]) * found / taken;
  }
  return area / static_cast<double>(c.defects);
}

double pearson(const Image& a, const Image& b) {
  const auto n = static_cast<double>(a.data.size());
  double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    const double x = a.data[i], y = b.data[i];
    sa += x;
    sb += y;
    saa += x * x;
    sbb += y * y;
    sab += x * y;
  }
  const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
  return va < 1e-9 || vb < 1e-9 ? undefined : (sab - sa * sb / n) / std::sqrt(va * vb);
}

double weighted_mean(const Image& map, const Image& mask, bool inside) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    const double w = inside ? mask.data[i] : 1 - mask.data[i];
    sum += w * map.data[i];
    weight += w;
  }
  return weight > 0 ? sum / weight : undefined;
}

Image swapped(const FgrSample& s) {
  Image out = s.gt;
  for (int c = 0; c < out.channels; ++c)
    for (std::size_t i = 0; i < out.plane_size(); ++i) out.plane(c)[i] += s.mask.data[i] * (s.sr.plane(c)[i] - out.plane(c)[i]);
  return out;
}

struct Measure {
  const char* title;
  std::optional<bool> higher_is_better;
};
constexpr std::array<Measure, 11> measures = {{{"order", true}, {"L1", false}, {"PLCC", true}, {"AUROC", true}, {"AUPR", true}, {"IoU", true}, {"F1", true}, {"pointing", true},
                                               {"map_in", std::nullopt}, {"map_out", false}, {"map_clean", false}}};
using Values = std::array<double, measures.size()>;

// The kinds of one source are one row, and so are all clean swaps.
std::string row_of(const std::string& source) { return source.starts_with("clean") ? "seam control" : source.substr(0, source.find(':')); }

}  // namespace

MapAgreement compare_maps(const Image& map, const Image& label) {
  if (map.width != label.width || map.height != label.height || map.channels != 1 || label.channels != 1)
    throw usage_error(fmt::format("maps: expected two of one channel and one size, found {} x {} x {} and {} x {} x {}", map.channels, map.height, map.width, label.channels, label.height, label.width));
  MapAgreement agreement;
  int64_t both = 0, either = 0;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    agreement.l1 += std::abs(map.data[i] - label.data[i]) / static_cast<double>(map.data.size());
    const bool found = map.data[i] >= 0.5f, defect = label.data[i] >= defect_label;
    both += found && defect;
    either += found || defect;
  }
  const Counts counts = count_levels(map, label);
  agreement.plcc = pearson(map, label);
  agreement.auroc = auroc(counts);
  agreement.aupr = average_precision(counts);
  agreement.iou = counts.defects == 0 ? undefined : static_cast<double>(both) / static_cast<double>(either);
  agreement.f1 = 2 * agreement.iou / (1 + agreement.iou);
  const auto peak = std::ranges::max_element(map.data) - map.data.begin();
  agreement.hit = counts.defects == 0 ? undefined : label.data[peak] >= defect_label ? 1 : 0;
  return agreement;
}

Table localisation_table(const FgrSet& set, const Judge& judge, const LocaliseOptions& options) {
  const int64_t count = options.count == 0 ? set.size() : std::min(options.count, set.size());
  std::map<std::string, std::vector<Values>> rows;
  Progress progress(options.progress, count);
  Image clean;  // samples of one crop stand side by side and share it
  Verdict of_clean;
  for (int64_t k = 0; k < count; ++k) {
    if (interrupted()) throw interrupted_error("interrupted: nothing was saved");
    const FgrSample sample = set.sample(k * set.size() / count);
    if (sample.gt.data != clean.data) {
      clean = sample.gt;
      of_clean = judge(clean);
    }
    const bool control = sample.facts.source.starts_with("clean"), whole = sample.facts.mask == "whole";
    const Verdict syn = judge(swapped(sample)), sr = whole ? syn : judge(sample.sr);
    Values values;
    values.fill(undefined);
    if (!control && sample.facts.severity > 0.01) {
      const MapAgreement m = compare_maps(syn.map, sample.label);
      values = {whole ? double(sr.score < of_clean.score) : double(sr.score < syn.score && syn.score < of_clean.score), m.l1, m.plcc, m.auroc, m.aupr, m.iou, m.f1, m.hit};
    }
    values[8] = weighted_mean(syn.map, sample.mask, true);
    values[9] = weighted_mean(syn.map, sample.mask, false);
    values[10] = of_clean.map_mean;
    rows[row_of(sample.facts.source)].push_back(values);
    if (!control) rows["all"].push_back(values);
    progress.advance();
  }

  Table table;
  table.columns = {{"source", std::nullopt, 0}, {"samples", std::nullopt, 0}};
  for (const Measure& measure : measures) table.columns.push_back({measure.title, measure.higher_is_better, 3});
  const auto add = [&](const std::string& name, const std::vector<Values>& samples) {
    std::vector<Cell> cells = {name, static_cast<double>(samples.size())};
    for (std::size_t m = 0; m < measures.size(); ++m) {
      std::vector<double> defined;
      for (const Values& values : samples)
        if (!std::isnan(values[m])) defined.push_back(values[m]);
      if (defined.empty()) cells.emplace_back();
      else cells.emplace_back(bootstrap_mean(defined, options.bootstrap));
    }
    table.rows.push_back(std::move(cells));
  };
  for (const auto& [name, samples] : rows)
    if (name != "all" && name != "seam control") add(name, samples);
  for (const char* name : {"all", "seam control"})
    if (rows.contains(name)) add(name, rows[name]);
  table.caption = fmt::format("Mean [95 % bootstrap interval over samples]. order: S_SR < S_syn < S_GT (whole swaps: S_SR < S_GT); defect pixels: label >= {:.1f}; IoU and F1 of the map at 0.5; map_in, map_out: mean "
                              "map inside and outside the mask; map_clean: of the clean picture. {} samples.", defect_label, count);
  return table;
}

}  // namespace finpercep
