// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "finpercep/evaluate/wilcoxon.h"

namespace finpercep {

namespace {

bool in_percent(const std::string& metric) { return !metric.starts_with("psnr") && !metric.starts_with("finpercep."); }

std::string difference_text(std::vector<double> values, std::vector<double> base, bool percent, const BootstrapOptions& bootstrap) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isfinite(values[i] - base[i])) {
      values[kept] = values[i];
      base[kept++] = base[i];
    }
  values.resize(kept);
  base.resize(kept);
  if (kept == 0) return "";
  const Interval d = bootstrap_difference(values, base, bootstrap);
  const double p = wilcoxon_signed_rank(values, base).p, unit = percent ? 100 / std::abs(mean_of(base)) : 1;
  if (!std::isfinite(unit)) return "";
  const int decimals = percent ? 1 : 3;
  const std::string p_text = p < 0.001 ? fmt::format("{:.0e}", p) : fmt::format("{:.3f}", p);
  return fmt::format("{:+.{}f} [{:+.{}f}, {:+.{}f}] p {}", unit * d.mean, decimals, unit * d.low, decimals, unit * d.high, decimals,
                     p_text);
}

std::string seeds_text(const StudyRow& row, std::size_t metric, int decimals) {
  std::vector<double> means;
  std::vector<std::string> texts;
  for (const Evaluation& seed : row.values) {
    std::vector<double> finite;
    for (const auto& values : seed.values)
      if (std::isfinite(values[metric])) finite.push_back(values[metric]);
    if (finite.empty()) return "";
    means.push_back(mean_of(finite));
    texts.push_back(fmt::format("{:.{}f}", means.back(), decimals));
  }
  if (means.size() == 1) return texts.front();
  const double mean = mean_of(means);
  double squares = 0;
  for (const double m : means) squares += (m - mean) * (m - mean);
  return fmt::format("{:.{}f} ± {:.{}f} ({})", mean, decimals, std::sqrt(squares / static_cast<double>(means.size() - 1)), decimals,
                     fmt::join(texts, " "));
}

}  // namespace

Table level_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics, const BootstrapOptions& bootstrap,
                  const std::string& variants) {
  Table table{.columns = {{"method", std::nullopt, 0}, {"images", std::nullopt, 0}}, .rows = {}, .caption = "", .mark_best = true};
  for (const std::string& metric : metrics) table.columns.push_back(study_column(metric));
  bool several = false;
  for (const StudyRow& row : rows) {
    std::vector<Cell> cells = {row.name, static_cast<double>(row.values.front().names.size())};
    for (std::size_t m = 0; m < metrics.size(); ++m) cells.push_back(mean_cell(row.by_picture(m), bootstrap));
    table.rows.push_back(std::move(cells));
    several = several || row.values.size() > 1;
  }
  table.caption = fmt::format("Mean [{:g} % bootstrap interval over images, {} resamples]{}. {}.", 100 * bootstrap.confidence,
                              bootstrap.resamples, several ? "; an image's value is the mean over the method's seeds" : "", variants);
  return table;
}

Table difference_table(const std::vector<StudyRow>& rows, const std::string& baseline, const std::vector<std::string>& metrics,
                       const BootstrapOptions& bootstrap) {
  Table table{.columns = {{"method", std::nullopt, 0}}, .rows = {}, .caption = ""};
  for (const std::string& metric : metrics) {
    Column column = study_column(metric);
    if (in_percent(metric)) column.title += " %";
    table.columns.push_back(std::move(column));
  }
  const auto base = std::ranges::find(rows, baseline, &StudyRow::name);
  for (const StudyRow& row : rows) {
    if (base == rows.end() || row.name == baseline) continue;
    std::vector<Cell> cells = {row.name};
    for (std::size_t m = 0; m < metrics.size(); ++m)
      cells.emplace_back(difference_text(row.by_picture(m), base->by_picture(m), in_percent(metrics[m]), bootstrap));
    table.rows.push_back(std::move(cells));
  }
  table.caption = fmt::format(
      "Row less {} on the same images [{:g} % bootstrap interval over images], in percent of {}'s mean where the column says so, else "
      "absolute; p of Wilcoxon's two-sided signed-rank test, not corrected for the number of comparisons.",
      baseline, 100 * bootstrap.confidence, baseline);
  return table;
}

Table seed_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics) {
  Table table{.columns = {{"method", std::nullopt, 0}, {"seeds", std::nullopt, 0}},
              .rows = {},
              .caption = "Mean ± standard deviation over seeds (each seed) of the mean over images."};
  for (const std::string& metric : metrics) table.columns.push_back(study_column(metric));
  for (const StudyRow& row : rows) {
    if (!row.trained) continue;
    std::vector<Cell> cells = {row.name, fmt::format("{}", fmt::join(row.seeds, " "))};
    for (std::size_t m = 0; m < metrics.size(); ++m) cells.emplace_back(seeds_text(row, m, study_column(metrics[m]).decimals));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::vector<TitledTable> study_tables(const StudySet& set, const std::vector<StudyRow>& rows, const std::string& baseline,
                                      const std::vector<std::string>& metrics, const BootstrapOptions& bootstrap,
                                      const std::string& variants) {
  std::vector<TitledTable> tables = {{set.title, level_table(rows, metrics, bootstrap, variants)}};
  if (Table differences = difference_table(rows, baseline, metrics, bootstrap); !differences.rows.empty())
    tables.push_back({fmt::format("{}: difference to {}", set.title, baseline), std::move(differences)});
  if (std::ranges::any_of(rows, [](const StudyRow& row) { return row.values.size() > 1; }))
    tables.push_back({fmt::format("{}: seeds", set.title), seed_table(rows, metrics)});
  return tables;
}

}  // namespace finpercep
