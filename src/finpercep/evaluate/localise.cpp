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
      fitted = true;
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

// The kinds of one source are one row, and so are all clean swaps.
std::string row_of(const FgrFacts& facts) { return is_control(facts) ? "seam control" : facts.source.substr(0, facts.source.find(':')); }

}  // namespace

Localisation localise(const FgrSet& set, const Judge& judge, const LocaliseOptions& options) {
  const std::vector<int64_t> chosen = set.some(options.count);
  const auto count = static_cast<int64_t>(chosen.size());
  const std::vector<MapRival> rivals = options.baselines ? map_rivals() : std::vector<MapRival>{};
  const MetricSet judges({"lpips", "dists"}, MetricOptions{.device = options.device});
  std::map<std::string, std::vector<Row<map_measures.size()>>> maps, of_rivals;
  std::map<std::string, std::vector<Row<score_measures.size()>>> scores;
  std::vector<Found> seams, swaps, whole_score;
  std::vector<double> whole_lpips, whole_dists;
  std::map<std::string, std::vector<Found>> whole_plcc;  // of the maps of each maker
  Tally tally;
  std::map<std::string, Tally> rival_tallies;
  Progress progress(options.progress, count);
  Image clean;  // samples of one crop stand side by side and share it
  Verdict of_clean;
  for (int64_t k = 0; k < count; ++k) {
    stop_if_interrupted();
    const FgrSample sample = set.sample(chosen[k]);
    if (sample.gt.data != clean.data) {
      clean = sample.gt;
      of_clean = judge(clean);
    }
    const bool control = is_control(sample.facts), whole = sample.facts.mask == "whole",
               defective = !control && sample.facts.severity > 0.01;
    const Image picture = compose(sample.gt, sample.sr, sample.mask);
    const Verdict syn = judge(picture);
    const std::string row = row_of(sample.facts), photo = sample.facts.photo;
    double order = undefined;
    if (defective) {
      const float sr = whole ? syn.score : judge(sample.sr).score;
      order = whole ? sr < of_clean.score : sr < syn.score && syn.score < of_clean.score;
      const bool fitting = 2 * k < count;
      maps[row].push_back({photo, tally.measure(syn.map, sample.label, fitting)});
      maps["all"].push_back(maps[row].back());
      for (const MapRival& rival : rivals)
        of_rivals[rival.name].push_back({photo, rival_tallies[rival.name].measure(rival.map(picture, clean), sample.label, fitting)});
      if (whole) {
        whole_plcc["reward"].push_back({photo, maps[row].back().values[plcc]});
        for (const MapRival& rival : rivals) whole_plcc[rival.name].push_back({photo, of_rivals[rival.name].back().values[plcc]});
      }
      if (whole) {
        const std::vector<double> distances = judges.compute(picture, clean);
        whole_score.push_back({photo, syn.score});
        whole_lpips.push_back(distances[0]);
        whole_dists.push_back(distances[1]);
      }
    }
    const double inside = weighted_mean(syn.map, sample.mask, true);
    if (!whole && (control || defective)) (control ? seams : swaps).push_back({photo, inside});
    scores[row].push_back({photo, {order, inside, weighted_mean(syn.map, sample.mask, false), of_clean.map_mean}});
    if (!control) scores["all"].push_back(scores[row].back());
    progress.advance();
  }

  Localisation out;
  out.maps.columns = columns_of(map_measures);
  for (const auto& [name, samples] : maps)
    if (name != "all") add_row(out.maps, name, samples, options.bootstrap);
  if (maps.contains("all")) add_row(out.maps, "all", maps["all"], options.bootstrap);
  const auto threshold_text = [](const Tally& t) { return t.threshold < 0 ? std::string("none") : fmt::format("{:.3f}", t.threshold); };
  std::string thresholds = threshold_text(tally);
  for (const MapRival& rival : rivals) {
    add_row(out.maps, fmt::format("baseline: {}", rival.name), of_rivals[rival.name], options.bootstrap);
    thresholds += fmt::format(", {} {}", rival.name, threshold_text(rival_tallies[rival.name]));
  }
  out.maps.caption = fmt::format(
      "Mean [95 % bootstrap interval over photographs] on the swapped pictures. Defect pixels: label >= {:.1f}; SRCC on means of 8 x 8 "
      "pixels; "
      "IoU and F1 of the map at 0.5; F1*: at the threshold that is "
      "best on the first half of the samples ({}), measured on the second half; cP, cR at the same threshold: share of the map's (label's) "
      "components of at least 1/{} of the picture that "
      "lie by half on the label's (map's) pixels. |x - GT| and 1 - SSIM see the clean picture. {} samples.",
      defect_label, thresholds, smallest_component, count);

  out.scores.columns = columns_of(score_measures);
  for (const auto& [name, samples] : scores)
    if (name != "all" && name != "seam control") add_row(out.scores, name, samples, options.bootstrap);
  for (const char* name : {"all", "seam control"})
    if (scores.contains(name)) add_row(out.scores, name, scores[name], options.bootstrap);
  out.scores.caption =
      "Mean [95 % bootstrap interval over photographs]. order: S_SR < S_syn < S_GT (whole swaps: S_SR < S_GT); map_in, map_out: mean map "
      "inside and outside the mask; map_clean: of the clean picture.";

  out.summary.columns = {{"question", std::nullopt, 0}, {"samples", std::nullopt, 0}, {"value", std::nullopt, 3}};
  const auto answer = [&](const std::string& question, std::size_t samples, const Cell& value) {
    out.summary.rows.push_back({question, static_cast<double>(samples), value});
  };
  if (!seams.empty() && !swaps.empty()) answer("seam ratio", seams.size(), seam_ratio(seams, swaps, options.bootstrap));
  const auto answer_whole = [&](const std::string& name, const std::string& maker) {
    std::vector<Found> found = whole_plcc[maker];
    std::erase_if(found, [](const Found& f) { return std::isnan(f.value); });  // a constant has none
    if (found.size() > 2)
      answer(fmt::format("PLCC of {} and the label, whole swaps", name), found.size(), mean_of_found(found, options.bootstrap));
  };
  answer_whole("the map", "reward");
  for (const MapRival& rival : rivals) answer_whole(rival.name, rival.name);
  if (whole_score.size() > 2) {
    for (const auto& [title, correlation] : {std::pair<const char*, Correlation>("PLCC", pearson), {"SRCC", spearman}})
      for (const auto& [metric, distances] :
           {std::pair<const char*, const std::vector<double>*>("LPIPS-alex", &whole_lpips), {"DISTS", &whole_dists}})
        answer(fmt::format("{} of S and {}, whole swaps", title, metric), whole_score.size(),
               bootstrap_correlation(correlation, values_of(whole_score), *distances, options.bootstrap, photos_of(whole_score)));
  }
  out.summary.caption =
      "Value [95 % bootstrap interval over photographs]. seam ratio: mean of the map in the mask of regions, clean pixels swapped in over "
      "I_SR "
      "swapped in; 0 is best. PLCC of a map: over the pixels of one picture, mean of the pictures. S is better where it is higher, the "
      "distances where "
      "they are lower: -1 is best. They only judge.";
  return out;
}

}  // namespace finpercep
