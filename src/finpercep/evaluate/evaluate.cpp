// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/evaluate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/version.h"

namespace finpercep {

std::vector<double> Evaluation::column(const std::string& metric) const {
  const auto at = std::find(metrics.begin(), metrics.end(), metric);
  if (at == metrics.end()) throw usage_error(fmt::format("evaluation: expected one of {}, found '{}'", fmt::join(metrics, ", "), metric));
  std::vector<double> out;
  for (const auto& row : values) out.push_back(row[at - metrics.begin()]);
  return out;
}

bool Evaluation::measured(std::size_t picture) const {
  return !std::ranges::all_of(values[picture], [](double value) { return std::isnan(value); });
}

Evaluation evaluate(const Pipeline& pipeline, const std::vector<std::string>& names, const LoadSample& load, const RunOptions& run,
                    const std::string& progress) {
  if (names.empty()) throw usage_error("evaluate: expected at least one picture, found none");
  Evaluation out;
  out.metrics = pipeline.options().metrics;
  out.names = names;
  std::optional<Progress> bar;
  if (!progress.empty()) bar.emplace(progress, static_cast<int64_t>(names.size()));
  pipeline.run(names, load, run, [&](Measured measured) {
    if (!measured.failure.empty()) {
      log_warning(measured.failure);
      out.failures.push_back(std::move(measured.failure));
    }
    if (measured.values.empty()) measured.values.assign(out.metrics.size(), std::numeric_limits<double>::quiet_NaN());
    out.values.push_back(std::move(measured.values));
    if (bar) bar->advance();
    stop_if_interrupted(fmt::format("after {} of {} pictures", out.values.size(), names.size()));
    return true;
  });
  return out;
}

Evaluation evaluate(const Pipeline& pipeline, const std::vector<Pair>& pairs, const RunOptions& run, const std::string& progress) {
  const auto load = [&](int64_t i, const Reserve& reserve) { return read_sample(pairs[i].first, pairs[i].second, reserve); };
  return evaluate(pipeline, names_of(pairs), load, run, progress);
}

Table per_image_table(const Evaluation& evaluation, const EvaluateOptions& options) {
  Table table;
  table.columns.push_back({"name", std::nullopt, 0});
  for (const auto& name : evaluation.metrics) table.columns.push_back(metric_column(name));
  for (std::size_t i = 0; i < evaluation.names.size(); ++i) {
    std::vector<Cell> row = {evaluation.names[i]};
    for (double value : evaluation.values[i]) row.push_back(value);
    table.rows.push_back(std::move(row));
  }
  table.caption = fmt::format("finpercep {}; {}", version, variants_text(options));
  return table;
}

}  // namespace finpercep
