// SPDX-License-Identifier: Apache-2.0
// Tables of methods side by side.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "finpercep/evaluate/evaluate.h"
#include "finpercep/evaluate/wilcoxon.h"
#include "finpercep/generate/super_resolver.h"

namespace finpercep {

namespace {

bool in_percent(const std::string& metric) { return !metric.starts_with("psnr") && !is_judged(metric); }

// Of one metric, the values of both on the pictures that both have and where both are finite.
struct PairedValues {
  std::vector<double> values, base;
};
PairedValues pair_values(const Evaluation& method, const Evaluation& baseline, const std::string& metric) {
  const std::vector<double> ours = method.column(metric), theirs = baseline.column(metric);
  std::map<std::string, double> known;
  for (std::size_t i = 0; i < theirs.size(); ++i) known[baseline.names[i]] = theirs[i];
  PairedValues pairs;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto found = known.find(method.names[i]);
    if (found == known.end() || !std::isfinite(ours[i] - found->second)) continue;
    pairs.values.push_back(ours[i]);
    pairs.base.push_back(found->second);
  }
  return pairs;
}

// Pictures with at least one value: those that could be measured.
double count_measured(const Evaluation& evaluation) {
  double count = 0;
  for (std::size_t i = 0; i < evaluation.values.size(); ++i) count += evaluation.measured(i);
  return count;
}

std::set<std::string> measured_names(const Evaluation& evaluation, std::size_t metric) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < evaluation.values.size(); ++i)
    if (!std::isnan(evaluation.values[i][metric])) names.insert(evaluation.names[i]);
  return names;
}

// Metrics of which the methods have values of different pictures: their means are of different things.
std::vector<std::string> unlike_metrics(const MethodResults& methods, const std::vector<std::string>& metrics) {
  std::vector<std::string> unlike;
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    const auto first = measured_names(methods[0].second, m);
    if (!std::ranges::all_of(methods, [&](const auto& method) { return measured_names(method.second, m) == first; }))
      unlike.push_back(metrics[m]);
  }
  return unlike;
}

Cell difference_cell(const PairedValues& pairs, bool percent, const BootstrapOptions& bootstrap) {
  if (pairs.values.empty()) return {};
  const Interval d = bootstrap_difference(pairs.values, pairs.base, bootstrap);
  const double unit = percent ? 100 / std::abs(mean_of(pairs.base)) : 1;
  if (!std::isfinite(unit)) return {};
  return Difference{{unit * d.mean, unit * d.low, unit * d.high}, wilcoxon_signed_rank(pairs.values, pairs.base).p};
}

}  // namespace

Column comparison_column(const std::string& metric) {
  Column column = metric_column(metric);
  if (const JudgedColumn* judged = find_judged(metric)) column.title = judged->title;
  return column;
}

std::string variants_text(const EvaluateOptions& options) {
  std::vector<std::string> texts;
  for (const std::string& metric : options.measure.metrics)
    if (!is_judged(metric))
      texts.push_back(
          fmt::format("{}: {}", metric, variant_text(metric, options.measure.metric.protocol, options.measure.metric.crop_border)));
  const auto asked = [&](const char* metric) {
    return std::ranges::find(options.measure.metrics, metric) != options.measure.metrics.end();
  };
  if (std::ranges::any_of(options.measure.metrics, is_judged)) {
    const Judge& judge = *options.measure.judge;
    texts.push_back(fmt::format("judge: {} {} (RM_{})", judge.model(), weights_hash(judge.model()), judge.stage()));
  }
  if (asked(score_metric)) texts.emplace_back("S: its score, 1 is clean");
  if (asked(severity_metric))
    texts.push_back(
        fmt::format("severity: mean of its defect map over the worst {:g} % of a picture's pixels, 0 is clean", 100 * severity_share));
  return fmt::format("{}", fmt::join(texts, "; "));
}

Table comparison_table(const MethodResults& methods, const EvaluateOptions& options) {
  Table table{.columns = {{"method", std::nullopt, 0}, {"images", std::nullopt, 0}}, .rows = {}, .caption = "", .mark_best = true};
  for (const std::string& metric : options.measure.metrics) table.columns.push_back(comparison_column(metric));
  for (const auto& [name, evaluation] : methods) {
    std::vector<Cell> row = {name, count_measured(evaluation)};
    for (const std::string& metric : options.measure.metrics) row.push_back(mean_cell(evaluation.column(metric), options.bootstrap));
    table.rows.push_back(std::move(row));
  }
  const std::vector<std::string> unlike = unlike_metrics(methods, options.measure.metrics);
  table.mark_best = unlike.empty();
  table.caption = fmt::format("Mean [95 % bootstrap interval over images, {} resamples]{}. {}.", options.bootstrap.resamples,
                              unlike.empty() ? ""
                                             : fmt::format("; the rows of {} are over DIFFERENT images, those that could be measured: do "
                                                           "not compare their means",
                                                           fmt::join(unlike, ", ")),
                              variants_text(options));
  return table;
}

Table difference_table(const MethodResults& methods, const std::string& baseline, const EvaluateOptions& options) {
  Table table{.columns = {{"method", std::nullopt, 0}}, .rows = {}, .caption = ""};
  for (const std::string& metric : options.measure.metrics) {
    Column column = comparison_column(metric);
    column.decimals = in_percent(metric) ? 1 : 3;
    if (in_percent(metric)) column.title += " %";
    table.columns.push_back(std::move(column));
  }
  const auto base = std::ranges::find_if(methods, [&](const auto& method) { return method.first == baseline; });
  for (const auto& [name, evaluation] : methods) {
    if (base == methods.end() || name == baseline) continue;
    std::vector<Cell> row = {name};
    for (const std::string& metric : options.measure.metrics)
      row.push_back(difference_cell(pair_values(evaluation, base->second, metric), in_percent(metric), options.bootstrap));
    table.rows.push_back(std::move(row));
  }
  table.caption = fmt::format(
      "Row less {} on the same images [95 % bootstrap interval over images], in percent of {}'s mean where the column says so, else "
      "absolute; p of Wilcoxon's two-sided signed-rank test, not corrected for the number of comparisons.",
      baseline, baseline);
  return table;
}

}  // namespace finpercep
