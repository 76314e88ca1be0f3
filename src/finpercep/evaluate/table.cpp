// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/evaluate/columns.h"

namespace finpercep {

TableFormat parse_table_format(const std::string& name) {
  if (name == "text") return TableFormat::text;
  if (name == "md") return TableFormat::markdown;
  if (name == "csv") return TableFormat::csv;
  if (name == "tex") return TableFormat::latex;
  throw usage_error(fmt::format("table: expected one of text, md, csv, tex, found '{}'", name));
}

Column metric_column(const std::string& name) { return {name, column_higher_is_better(name), name.starts_with("psnr") ? 2 : 4}; }

Cell mean_cell(const std::vector<double>& values, const BootstrapOptions& bootstrap) {
  std::vector<double> defined;
  for (const double v : values)
    if (!std::isnan(v)) defined.push_back(v);  // infinity is a value
  return defined.empty() ? Cell{} : Cell{bootstrap_mean(defined, bootstrap)};
}

std::string json_line(const std::vector<std::string>& columns, const ScoreLine& line) {
  nlohmann::ordered_json object;
  object["path"] = line.path;
  for (std::size_t c = 0; c < line.values.size(); ++c) {
    if (!std::isfinite(line.values[c])) continue;
    const std::string& name = columns[c];
    const auto dot = name.find('.');
    if (dot == std::string::npos) object[name] = line.values[c];
    else object[name.substr(0, dot)][name.substr(dot + 1)] = line.values[c];
  }
  if (!line.error.empty()) object["error"] = line.error;
  // A path that is not UTF-8 must not end the run: its odd bytes are replaced.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Table score_table(const std::vector<std::string>& columns, const std::vector<ScoreLine>& lines, bool all_columns) {
  Table table;
  table.columns.push_back({"path", std::nullopt, 0});
  if (all_columns || std::ranges::any_of(lines, [](const ScoreLine& line) { return !line.values.empty(); }))
    for (const auto& name : columns) table.columns.push_back(metric_column(name));
  if (all_columns || std::ranges::any_of(lines, [](const ScoreLine& line) { return !line.error.empty(); }))
    table.columns.push_back({"error", std::nullopt, 0});
  for (const auto& line : lines) {
    std::vector<Cell> row(table.columns.size());
    if (!line.error.empty()) row.back() = line.error;
    row[0] = line.path;
    for (std::size_t c = 0; c < line.values.size(); ++c)
      if (std::isfinite(line.values[c])) row[1 + c] = line.values[c];
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace finpercep
