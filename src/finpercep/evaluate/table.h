// SPDX-License-Identifier: Apache-2.0
// Tables for people (aligned text, Markdown, LaTeX) and programs (CSV, JSON lines).
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "finpercep/evaluate/bootstrap.h"

namespace finpercep {

struct Column {
  std::string title;
  std::optional<bool> higher_is_better;  ///< printed as an arrow; none: neither
  int decimals = 4;
};

/// Direction and decimals of a metric of the registry or a judged column; usage_error for another name.
Column metric_column(const std::string& name);

/// A mean of paired differences, with the p of their test.
struct Difference {
  Interval interval;
  double p = 1;
};

/// Nothing, a word, a number, a mean with its interval, a difference.
using Cell = std::variant<std::monostate, std::string, double, Interval, Difference>;

/// Mean of the values that are not NaN with its interval; nothing where there is none.
Cell mean_cell(const std::vector<double>& values, const BootstrapOptions& bootstrap);

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  std::string caption;     ///< protocol and provenance, printed under the table (CSV: a leading line "# caption")
  bool mark_best = false;  ///< the best number of each column with a direction in bold (Markdown, LaTeX) when there are two rows or more
};

enum class TableFormat { text, markdown, csv, latex };
/// "text", "md", "csv", "tex"; usage_error for another word.
TableFormat parse_table_format(const std::string& name);

/// What a cell prints: "mean [low, high]" for an interval, "+mean [+low, +high] p .." for a difference, of both the mean alone where
/// there is no interval; nothing for a number that is not finite.
std::string cell_text(const Cell& cell, int decimals);

/// Ends with a newline. A number that is not finite is an empty cell. CSV has full precision, three columns (X, X_low, X_high) for a
/// column of intervals and a fourth (X_p) for one of differences.
std::string render(const Table& table, TableFormat format);

struct ScoreLine {
  std::string path;
  std::vector<double> values;  ///< one a column, NaN where it has none; empty for a picture that could not be scored
  std::string error = "";      ///< why some are missing
};
/// {"path": .., "psnr": 27.1, "finpercep": {"score": 0.71, ..}} and a newline: a dot in a column's name nests. Values that are not finite
/// are left out: no NaN, no null. A picture that lacks some has "error".
std::string json_line(const std::vector<std::string>& columns, const ScoreLine& line);
/// One row a line, by metric_column, and a last column "error". Values and errors have columns where a line has one, or `all_columns`.
Table score_table(const std::vector<std::string>& columns, const std::vector<ScoreLine>& lines, bool all_columns = false);

}  // namespace finpercep
