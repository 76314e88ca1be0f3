// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace finpercep {

namespace {

// A picture's value is the mean over the seeds.
MethodResults over_seeds(const std::vector<StudyRow>& rows) {
  MethodResults methods;
  for (const StudyRow& row : rows) {
    Evaluation mean = row.values.front();
    for (std::size_t m = 0; m < mean.metrics.size(); ++m) {
      const std::vector<double> values = row.by_picture(m);
      for (std::size_t i = 0; i < values.size(); ++i) mean.values[i][m] = values[i];
    }
    methods.emplace_back(row.name, std::move(mean));
  }
  return methods;
}

std::string seeds_text(const StudyRow& row, std::size_t metric, int decimals) {
  std::vector<double> means;
  std::vector<std::string> texts;
  const std::vector<double> of_all = row.by_picture(metric);
  for (const Evaluation& seed : row.values) {
    std::vector<double> finite;
    for (std::size_t i = 0; i < seed.values.size(); ++i)
      if (std::isfinite(of_all[i])) finite.push_back(seed.values[i][metric]);  // the pictures of the other tables
    if (finite.empty()) return "";
    means.push_back(mean_of(finite));
    texts.push_back(fmt::format("{:.{}f}", means.back(), decimals));
  }
  if (means.size() == 1) return texts.front();
  const Interval over_seeds = student_mean(means);
  return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}] ({})", over_seeds.mean, decimals, over_seeds.low, decimals, over_seeds.high, decimals,
                     fmt::join(texts, " "));
}

}  // namespace

Table seed_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics) {
  Table table{.columns = {{"method", std::nullopt, 0}, {"seeds", std::nullopt, 0}},
              .rows = {},
              .caption =
                  "Mean over images, then over seeds [Student's 95 % interval over seeds] (each seed). What holds for the method and "
                  "not for these trained nets alone is what this interval says."};
  for (const std::string& metric : metrics) table.columns.push_back(comparison_column(metric));
  for (const StudyRow& row : rows) {
    if (!row.trained) continue;
    std::vector<Cell> cells = {row.name, fmt::format("{}", fmt::join(row.seeds, " "))};
    for (std::size_t m = 0; m < metrics.size(); ++m) cells.emplace_back(seeds_text(row, m, comparison_column(metrics[m]).decimals));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::vector<TitledTable> study_tables(const std::string& title, const std::vector<StudyRow>& rows, const std::string& baseline,
                                      const EvaluateOptions& options) {
  const bool several = std::ranges::any_of(rows, [](const StudyRow& row) { return row.values.size() > 1; });
  const MethodResults methods = over_seeds(rows);
  Table levels = comparison_table(methods, options);
  if (several) levels.caption += " An image's value is the mean over the method's seeds.";
  std::vector<TitledTable> tables = {{title, std::move(levels)}};
  if (Table differences = difference_table(methods, baseline, options); !differences.rows.empty()) {
    if (several) differences.caption += " Of several seeds: interval and p are for the nets that were trained, not over seeds.";
    tables.push_back({fmt::format("{}: difference to {}", title, baseline), std::move(differences)});
  }
  if (several) tables.push_back({fmt::format("{}: seeds", title), seed_table(rows, options.measure.metrics)});
  return tables;
}

}  // namespace finpercep
