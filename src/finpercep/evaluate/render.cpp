// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/text.h"
#include "finpercep/evaluate/table.h"

namespace finpercep {

namespace {

using Grid = std::vector<std::vector<std::string>>;

const Interval* interval_in(const Cell& cell) {
  if (const auto* difference = std::get_if<Difference>(&cell)) return &difference->interval;
  return std::get_if<Interval>(&cell);
}

// The number that ranks a cell, where it has one.
std::optional<double> number_in(const Cell& cell) {
  double value = NAN;
  if (const auto* number = std::get_if<double>(&cell)) value = *number;
  if (const Interval* interval = interval_in(cell)) value = interval->mean;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// Rows that print the same number as the best one are all best.
std::vector<std::vector<bool>> best_cells(const Table& table) {
  std::vector<std::vector<bool>> best;
  for (const auto& row : table.rows) best.emplace_back(row.size(), false);
  if (!table.mark_best || table.rows.size() < 2) return best;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (!table.columns[c].higher_is_better) continue;
    const double sign = *table.columns[c].higher_is_better ? 1 : -1;
    const double unit = std::pow(10.0, table.columns[c].decimals);
    const auto rank = [&](const Cell& cell) { return sign * std::round(*number_in(cell) * unit); };
    double top = -INFINITY;
    for (const auto& row : table.rows)
      if (c < row.size() && number_in(row[c])) top = std::max(top, rank(row[c]));
    for (std::size_t r = 0; r < table.rows.size(); ++r)
      if (c < table.rows[r].size() && number_in(table.rows[r][c])) best[r][c] = rank(table.rows[r][c]) == top;
  }
  return best;
}

bool is_number_column(const Table& table, std::size_t c) {
  for (const auto& row : table.rows)
    if (c < row.size() && std::holds_alternative<std::string>(row[c])) return false;
  return true;
}

// Columns on a terminal: code points, which is right for the arrows and for Latin names.
std::size_t display_width(const std::string& text) {
  const auto begins_code_point = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_code_point));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - display_width(text), ' ');
  return right ? space + text : text + space;
}

Grid grid_of(const Table& table, const char* up, const char* down) {
  Grid grid(1);
  for (const auto& column : table.columns)
    grid[0].push_back(column.title + (!column.higher_is_better ? "" : *column.higher_is_better ? up : down));
  for (const auto& row : table.rows) {
    std::vector<std::string> texts;
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      texts.push_back(c < row.size() ? cell_text(row[c], table.columns[c].decimals) : "");
    grid.push_back(std::move(texts));
  }
  return grid;
}

std::vector<std::size_t> widths_of(const Grid& grid) {
  std::vector<std::size_t> widths(grid[0].size(), 0);
  for (const auto& row : grid)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  return widths;
}

std::string text_table(const Table& table) {
  Grid grid = grid_of(table, " ↑", " ↓");
  for (auto& row : grid)
    for (std::string& text : row) text = one_line(text);  // a file's name may hold anything
  const auto widths = widths_of(grid);
  std::string out;
  for (std::size_t r = 0; r < grid.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c)
      line += fmt::format("{}{}", c ? "  " : "", padded(grid[r][c], widths[c], is_number_column(table, c)));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  if (!table.caption.empty()) out += table.caption + "\n";
  return out;
}

std::string markdown_table(const Table& table) {
  Grid grid = grid_of(table, " ↑", " ↓");
  const auto best = best_cells(table);
  for (std::size_t r = 0; r < grid.size(); ++r) {
    for (std::size_t c = 0; c < grid[r].size(); ++c) {
      std::string text;
      for (char letter : grid[r][c]) text += letter == '|' ? "\\|" : std::string(1, letter);
      if (r > 0 && c < best[r - 1].size() && best[r - 1][c]) text = fmt::format("**{}**", text);
      grid[r][c] = text;
    }
  }
  auto widths = widths_of(grid);
  for (auto& width : widths) width = std::max<std::size_t>(width, 3);
  std::string out;
  for (std::size_t r = 0; r < grid.size(); ++r) {
    std::string line = "|";
    for (std::size_t c = 0; c < widths.size(); ++c) line += fmt::format(" {} |", padded(grid[r][c], widths[c], is_number_column(table, c)));
    out += line + "\n";
    if (r > 0) continue;
    out += "|";
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const bool right = is_number_column(table, c);
      out += fmt::format(" {}{} |", std::string(widths[c] - right, '-'), right ? ":" : "");
    }
    out += "\n";
  }
  if (!table.caption.empty()) out += fmt::format("\n{}\n", table.caption);
  return out;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string doubled;
  for (char c : text) doubled.append(c == '"' ? 2 : 1, c);
  return fmt::format("\"{}\"", doubled);
}

std::string csv_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

std::string csv_table(const Table& table) {
  std::string out = table.caption.empty() ? "" : fmt::format("# {}\n", table.caption);
  std::vector<bool> wide(table.columns.size(), false), tested = wide;
  for (std::size_t c = 0; c < wide.size(); ++c)
    for (const auto& row : table.rows) {
      if (c < row.size() && interval_in(row[c])) wide[c] = true;
      if (c < row.size() && std::holds_alternative<Difference>(row[c])) tested[c] = true;
    }
  for (std::size_t c = 0; c < wide.size(); ++c) {
    const std::string& title = table.columns[c].title;
    if (c) out += ",";
    out += csv_field(title);
    if (wide[c]) out += fmt::format(",{},{}", csv_field(title + "_low"), csv_field(title + "_high"));
    if (tested[c]) out += fmt::format(",{}", csv_field(title + "_p"));
  }
  out += "\n";
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < wide.size(); ++c) {
      const Cell cell = c < row.size() ? row[c] : Cell{};
      if (c) out += ",";
      if (const auto* word = std::get_if<std::string>(&cell)) out += csv_field(*word);
      if (const auto value = number_in(cell)) out += csv_number(*value);
      if (!wide[c]) continue;
      const Interval* interval = interval_in(cell);
      out += interval ? fmt::format(",{},{}", csv_number(interval->low), csv_number(interval->high)) : ",,";
      if (!tested[c]) continue;
      const auto* difference = std::get_if<Difference>(&cell);
      out += fmt::format(",{}", difference ? csv_number(difference->p) : "");
    }
    out += "\n";
  }
  return out;
}

std::string latex_escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (std::string("&%$#_{}").find(c) != std::string::npos) out.append({'\\', c});
    else if (c == '\\') out += "\\textbackslash{}";
    else if (c == '~') out += "\\textasciitilde{}";
    else if (c == '^') out += "\\textasciicircum{}";
    else out += c;
  }
  return out;
}

std::string latex_table(const Table& table) {
  const Grid grid = grid_of(table, "", "");
  const auto best = best_cells(table);
  std::string out = "\\begin{tabular}{";
  for (std::size_t c = 0; c < table.columns.size(); ++c) out += is_number_column(table, c) ? "r" : "l";
  out += "}\n\\toprule\n";
  for (std::size_t r = 0; r < grid.size(); ++r) {
    for (std::size_t c = 0; c < grid[r].size(); ++c) {
      std::string text = latex_escaped(grid[r][c]);
      const auto& higher = table.columns[c].higher_is_better;
      if (r == 0 && higher) text += *higher ? " $\\uparrow$" : " $\\downarrow$";
      if (r > 0 && c < best[r - 1].size() && best[r - 1][c]) text = fmt::format("\\textbf{{{}}}", text);
      if (c) out += " & ";
      out += text;
    }
    out += " \\\\\n";
    if (r == 0) out += "\\midrule\n";
  }
  out += "\\bottomrule\n\\end{tabular}\n";
  if (!table.caption.empty()) out += fmt::format("% {}\n", table.caption);
  return out;
}

}  // namespace

std::string cell_text(const Cell& cell, int decimals) {
  if (const auto* word = std::get_if<std::string>(&cell)) return *word;
  const auto value = number_in(cell);
  if (!value) return "";
  if (const auto* difference = std::get_if<Difference>(&cell)) {
    const Interval& d = difference->interval;
    if (!std::isfinite(d.low)) return fmt::format("{:+.{}f}", d.mean, decimals);
    const std::string p = difference->p < 0.001 ? fmt::format("{:.0e}", difference->p) : fmt::format("{:.3f}", difference->p);
    return fmt::format("{:+.{}f} [{:+.{}f}, {:+.{}f}] p {}", d.mean, decimals, d.low, decimals, d.high, decimals, p);
  }
  if (const auto* interval = std::get_if<Interval>(&cell); interval && std::isfinite(interval->low))
    return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", interval->mean, decimals, interval->low, decimals, interval->high, decimals);
  return fmt::format("{:.{}f}", *value, decimals);
}

std::string render(const Table& table, TableFormat format) {
  switch (format) {
    case TableFormat::markdown:
      return markdown_table(table);
    case TableFormat::csv:
      return csv_table(table);
    case TableFormat::latex:
      return latex_table(table);
    case TableFormat::text:
      break;
  }
  return text_table(table);
}

}  // namespace finpercep
