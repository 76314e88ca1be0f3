// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

TableFormat parse_table_format(const std::string& name) {
  if (name == "text") return TableFormat::text;
  if (name == "md") return TableFormat::markdown;
  if (name == "csv") return TableFormat::csv;
  if (name == "tex") return TableFormat::latex;
  throw usage_error(fmt::format("table: expected one of text, md, csv, tex, found '{}'", name));
}

Column metric_column(const std::string& name) {
  Column column{name, std::nullopt, name.starts_with("psnr") ? 2 : 4};
  for (const auto& info : metric_list())
    if (info.name == name) column.higher_is_better = info.higher_is_better;
  if (name == "finpercep" || name == "finpercep.score") column.higher_is_better = true;
  if (name.starts_with("finpercep.map") || name == "finpercep.severity") column.higher_is_better = false;
  return column;
}

Cell mean_cell(const std::vector<double>& values, const BootstrapOptions& bootstrap) {
  std::vector<double> defined;
  for (const double v : values)
    if (!std::isnan(v)) defined.push_back(v);  // infinity is a value
  return defined.empty() ? Cell{} : Cell{bootstrap_mean(defined, bootstrap)};
}

std::string json_line(const ScoreLine& line) {
  nlohmann::ordered_json object;
  object["path"] = line.path;
  for (const auto& [name, value] : line.values) {
    if (!value || !std::isfinite(*value)) continue;
    const auto dot = name.find('.');
    if (dot == std::string::npos) object[name] = *value;
    else object[name.substr(0, dot)][name.substr(dot + 1)] = *value;
  }
  if (!line.error.empty()) object["error"] = line.error;
  // A path that is not UTF-8 must not end the run: its odd bytes are replaced.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Table score_table(const std::vector<ScoreLine>& lines, bool always_error) {
  Table table;
  table.columns.push_back({"path", std::nullopt, 0});
  std::vector<std::string> names;
  for (const auto& line : lines)
    for (const auto& [name, value] : line.values)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  for (const auto& name : names) table.columns.push_back(metric_column(name));
  const bool failed = std::any_of(lines.begin(), lines.end(), [](const ScoreLine& line) { return !line.error.empty(); });
  if (failed || always_error) table.columns.push_back({"error", std::nullopt, 0});
  for (const auto& line : lines) {
    std::vector<Cell> row(table.columns.size());
    if (!line.error.empty()) row.back() = line.error;
    row[0] = line.path;
    for (const auto& [name, value] : line.values)
      if (value && std::isfinite(*value)) row[1 + (std::find(names.begin(), names.end(), name) - names.begin())] = *value;
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace finpercep
