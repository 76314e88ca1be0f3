// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/localise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/correlation.h"
#include "finpercep/evaluate/map_agreement.h"
#include "finpercep/evaluate/map_rivals.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr int smallest_component = 512;  // of them make the picture

double weighted_mean(const Image& map, const Image& mask, bool inside) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    const double w = inside ? mask.data[i] : 1 - mask.data[i];
    sum += w * map.data[i];
    weight += w;
  }
  return weight > 0 ? sum / weight : undefined;
}

struct Measure {
  const char* title;
  std::optional<bool> higher_is_better;
};
constexpr std::array<Measure, 11> map_measures = {{{"L1", false},
                                                   {"PLCC", true},
                                                   {"SRCC", true},
                                                   {"AUROC", true},
                                                   {"AUPR", true},
                                                   {"IoU", true},
                                                   {"F1", true},
                                                   {"F1*", true},
                                                   {"cP", true},
                                                   {"cR", true},
                                                   {"pointing", true}}};
constexpr std::array<Measure, 4> score_measures = {{{"order", true}, {"map_in", std::nullopt}, {"map_out", false}, {"map_clean", false}}};
constexpr std::size_t plcc = 1;  // its place there
using MapValues = std::array<double, map_measures.size()>;
using ScoreValues = std::array<double, score_measures.size()>;

// One maker of maps. The first samples fit its threshold, the others are measured at it.
struct Tally {
  std::vector<double> f1_sums = std::vector<double>(map_levels, 0.0);
  double threshold = -1;
  bool fitted = false;

  MapValues measure(const Image& map, const Image& label, bool fitting) {
    const MapAgreement m = compare_maps(map, label);
    RegionAgreement r{undefined, undefined, undefined};
    if (fitting) {
      const std::vector<double> f1 = f1_by_threshold(map, label);
      for (std::size_t k = 0; k < f1.size(); ++k) f1_sums[k] += f1[k];
      fitted |= !f1.empty();
    } else {
      if (threshold < 0 && fitted) threshold = best_threshold(f1_sums);
      if (fitted) r = compare_regions(map, label, threshold, std::max<int>(1, static_cast<int>(map.data.size()) / smallest_component));
    }
    return {m.l1, m.plcc, m.srcc, m.auroc, m.aupr, m.iou, m.f1, r.f1, r.precision, r.recall, m.hit};
  }
};

// A value and the photograph it was measured on: samples of one photograph are not independent.
struct Found {
  std::string photo;
  double value = 0;
};
std::vector<double> values_of(const std::vector<Found>& found) {
  std::vector<double> values;
  for (const Found& f : found) values.push_back(f.value);
  return values;
}
std::vector<std::string> photos_of(const std::vector<Found>& found) {
  std::vector<std::string> photos;
  for (const Found& f : found) photos.push_back(f.photo);
  return photos;
}

// Of those that are defined, with the interval over photographs.
Cell mean_of_found(std::vector<Found> found, const BootstrapOptions& bootstrap) {
  std::erase_if(found, [](const Found& f) { return std::isnan(f.value); });
  if (found.empty()) return {};
  return bootstrap_mean(values_of(found), bootstrap, photos_of(found));
}

template <std::size_t n>
struct Row {
  std::string photo;
  std::array<double, n> values;
};

template <std::size_t n>
void add_row(Table& table, const std::string& name, const std::vector<Row<n>>& samples, const BootstrapOptions& bootstrap) {
  std::vector<Cell> cells = {name, static_cast<double>(samples.size())};
  for (std::size_t m = 0; m < n; ++m) {
    std::vector<Found> column;
    for (const auto& sample : samples) column.push_back({sample.photo, sample.values[m]});
    cells.push_back(mean_of_found(std::move(column), bootstrap));
  }
  table.rows.push_back(std::move(cells));
}

template <std::size_t n>
std::vector<Column> columns_of(const std::array<Measure, n>& measures) {
  std::vector<Column> columns = {{"source", std::nullopt, 0}, {"samples", std::nullopt, 0}};
  for (const Measure& measure : measures) columns.push_back({measure.title, measure.higher_is_better, 3});
  return columns;
}

// Means of the map inside the mask, of controls and of true swaps.
Interval seam_ratio(const std::vector<Found>& controls, const std::vector<Found>& swaps, const BootstrapOptions& bootstrap) {
  std::vector<std::string> photos = photos_of(controls);
  for (const Found& swap : swaps) photos.push_back(swap.photo);
  const auto count = static_cast<int64_t>(controls.size() + swaps.size());
  return bootstrap_statistic(
      count,
      [&](const std::vector<int64_t>& items) {
        double sum[2] = {}, n[2] = {};
        for (const int64_t i : items) {
          const bool control = i < static_cast<int64_t>(controls.size());
          sum[control] += control ? controls[i].value : swaps[i - controls.size()].value;
          n[control] += 1;
        }
        return sum[1] / n[1] / (sum[0] / n[0]);
      },
      bootstrap, photos);
}

using MapRow = Row<map_measures.size()>;
using ScoreRow = Row<score_measures.size()>;

// What is found of one maker of maps, the reward or a rival, on samples with a defect.
struct Maker {
  Tally tally;
  std::vector<MapRow> rows;
  std::vector<Found> whole_plcc;

  void measure(const FgrSample& sample, const Image& map, bool whole, bool fitting) {
    rows.push_back({sample.facts.photo, tally.measure(map, sample.label, fitting)});
    if (whole) whole_plcc.push_back({sample.facts.photo, rows.back().values[plcc]});
  }
};

// What is found of all samples.
struct Findings {
  Maker reward;
  std::vector<Maker> rivals;                                      // in the order of map_rivals()
  std::map<std::string, std::vector<MapRow>> maps_by_source;      // of the reward
  std::map<std::string, std::vector<ScoreRow>> scores_by_source;  // without seam controls
  std::vector<ScoreRow> all_scores, control_scores;
  std::vector<Found> seams, swaps;  // means of the map inside the mask
  std::vector<Found> whole_score;   // S of whole swaps, and their distances
  std::vector<double> whole_lpips, whole_dists;
};

// The kinds of one source are one row.
std::string source_of(const FgrFacts& facts) { return facts.source.substr(0, facts.source.find(':')); }

// Adds sample after sample; those of one crop stand side by side and share the verdict of its clean picture.
class Examiner {
 public:
  Examiner(const Judge& judge, const std::vector<MapRival>& rivals, const std::string& device)
      : judge_(judge), rivals_(rivals), distances_({"lpips", "dists"}, MetricOptions{.device = device}) {
    found_.rivals.resize(rivals.size());
  }

  // `fitting`: of the first half, which the thresholds are fitted to.
  void add(const FgrSample& sample, bool fitting) {
    if (sample.gt.data != clean_.data) {
      clean_ = sample.gt;
      of_clean_ = judge_(clean_);
    }
    const FgrFacts& facts = sample.facts;
    const bool control = is_control(facts), whole = facts.mask == "whole", defective = !control && facts.severity > 0.01;
    const Image picture = compose(sample.gt, sample.sr, sample.mask);
    const Verdict verdict = judge_(picture);
    if (defective) add_defect(sample, picture, verdict, whole, fitting);
    const double inside = weighted_mean(verdict.map, sample.mask, true);
    if (!whole && (control || defective)) (control ? found_.seams : found_.swaps).push_back({facts.photo, inside});
    const double order = defective ? in_order(sample, verdict, whole) : undefined;
    const ScoreRow row{facts.photo, {order, inside, weighted_mean(verdict.map, sample.mask, false), of_clean_.map_mean}};
    if (control) {
      found_.control_scores.push_back(row);
    } else {
      found_.scores_by_source[source_of(facts)].push_back(row);
      found_.all_scores.push_back(row);
    }
  }
  const Findings& found() const { return found_; }

 private:
  void add_defect(const FgrSample& sample, const Image& picture, const Verdict& verdict, bool whole, bool fitting) {
    found_.reward.measure(sample, verdict.map, whole, fitting);
    found_.maps_by_source[source_of(sample.facts)].push_back(found_.reward.rows.back());
    for (std::size_t r = 0; r < rivals_.size(); ++r) found_.rivals[r].measure(sample, rivals_[r].map(picture, clean_), whole, fitting);
    if (!whole) return;
    const std::vector<double> distances = distances_.compute(picture, clean_);
    found_.whole_score.push_back({sample.facts.photo, verdict.score});
    found_.whole_lpips.push_back(distances[0]);
    found_.whole_dists.push_back(distances[1]);
  }
  // S_SR < S_syn < S_GT, of which the middle one is the first where the swap is whole.
  bool in_order(const FgrSample& sample, const Verdict& verdict, bool whole) const {
    if (whole) return verdict.score < of_clean_.score;
    return judge_(sample.sr).score < verdict.score && verdict.score < of_clean_.score;
  }

  const Judge& judge_;
  const std::vector<MapRival>& rivals_;
  MetricSet distances_;
  Image clean_;
  Verdict of_clean_;
  Findings found_;
};

std::string threshold_text(const Tally& t) { return t.threshold < 0 ? std::string("none") : fmt::format("{:.3f}", t.threshold); }

Table map_table(const Findings& found, const std::vector<MapRival>& rivals, int64_t samples, const BootstrapOptions& bootstrap) {
  Table table{.columns = columns_of(map_measures), .rows = {}, .caption = ""};
  for (const auto& [source, rows] : found.maps_by_source) add_row(table, source, rows, bootstrap);
  if (!found.reward.rows.empty()) add_row(table, "all", found.reward.rows, bootstrap);
  std::string thresholds = threshold_text(found.reward.tally);
  for (std::size_t r = 0; r < rivals.size(); ++r) {
    add_row(table, fmt::format("baseline: {}", rivals[r].name), found.rivals[r].rows, bootstrap);
    thresholds += fmt::format(", {} {}", rivals[r].name, threshold_text(found.rivals[r].tally));
  }
  table.caption = fmt::format(
      "Mean [95 % bootstrap interval over photographs] on the swapped pictures. Defect pixels: label >= {:.1f}; SRCC on means of 8 x 8 "
      "pixels; "
      "IoU and F1 of the map at 0.5; F1*: at the threshold that is "
      "best on the first half of the samples ({}), measured on the second half; cP, cR at the same threshold: share of the map's (label's) "
      "components of at least 1/{} of the picture that "
      "lie by half on the label's (map's) pixels. |x - GT| and 1 - SSIM see the clean picture. {} samples.",
      defect_label, thresholds, smallest_component, samples);
  return table;
}

Table order_table(const Findings& found, const BootstrapOptions& bootstrap) {
  Table table{.columns = columns_of(score_measures), .rows = {}, .caption = ""};
  for (const auto& [source, rows] : found.scores_by_source) add_row(table, source, rows, bootstrap);
  if (!found.all_scores.empty()) add_row(table, "all", found.all_scores, bootstrap);
  if (!found.control_scores.empty()) add_row(table, "seam control", found.control_scores, bootstrap);
  table.caption =
      "Mean [95 % bootstrap interval over photographs]. order: S_SR < S_syn < S_GT (whole swaps: S_SR < S_GT); map_in, map_out: mean map "
      "inside and outside the mask; map_clean: of the clean picture.";
  return table;
}

Table summary_table(const Findings& found, const std::vector<MapRival>& rivals, const BootstrapOptions& bootstrap) {
  Table table{
      .columns = {{"question", std::nullopt, 0}, {"samples", std::nullopt, 0}, {"value", std::nullopt, 3}}, .rows = {}, .caption = ""};
  const auto answer = [&](const std::string& question, std::size_t samples, const Cell& value) {
    table.rows.push_back({question, static_cast<double>(samples), value});
  };
  if (!found.seams.empty() && !found.swaps.empty())
    answer("seam ratio", found.seams.size(), seam_ratio(found.seams, found.swaps, bootstrap));
  const auto answer_whole = [&](const std::string& name, std::vector<Found> plccs) {
    std::erase_if(plccs, [](const Found& f) { return std::isnan(f.value); });  // a constant has none
    if (plccs.size() > 2) answer(fmt::format("PLCC of {} and the label, whole swaps", name), plccs.size(), mean_of_found(plccs, bootstrap));
  };
  answer_whole("the map", found.reward.whole_plcc);
  for (std::size_t r = 0; r < rivals.size(); ++r) answer_whole(rivals[r].name, found.rivals[r].whole_plcc);
  if (found.whole_score.size() > 2) {
    for (const auto& [title, correlation] : {std::pair<const char*, Correlation>("PLCC", pearson), {"SRCC", spearman}})
      for (const auto& [metric, distances] :
           {std::pair<const char*, const std::vector<double>*>("LPIPS-alex", &found.whole_lpips), {"DISTS", &found.whole_dists}})
        answer(fmt::format("{} of S and {}, whole swaps", title, metric), found.whole_score.size(),
               bootstrap_correlation(correlation, values_of(found.whole_score), *distances, bootstrap, photos_of(found.whole_score)));
  }
  table.caption =
      "Value [95 % bootstrap interval over photographs]. seam ratio: mean of the map in the mask of regions, clean pixels swapped in over "
      "I_SR "
      "swapped in; 0 is best. PLCC of a map: over the pixels of one picture, mean of the pictures. S is better where it is higher, the "
      "distances where "
      "they are lower: -1 is best. They only judge.";
  return table;
}

}  // namespace

Localisation localise(const FgrSet& set, const Judge& judge, const LocaliseOptions& options) {
  const std::vector<int64_t> chosen = set.some(options.count);
  const auto count = static_cast<int64_t>(chosen.size());
  const std::vector<MapRival> rivals = options.baselines ? map_rivals() : std::vector<MapRival>{};
  Examiner examiner(judge, rivals, options.device);
  Progress progress(options.progress, count);
  for (int64_t k = 0; k < count; ++k) {
    stop_if_interrupted();
    examiner.add(set.sample(chosen[k]), 2 * k < count);
    progress.advance();
  }
  const Findings& found = examiner.found();
  return {map_table(found, rivals, count, options.bootstrap), order_table(found, options.bootstrap),
          summary_table(found, rivals, options.bootstrap)};
}

}  // namespace finpercep
