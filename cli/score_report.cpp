// SPDX-License-Identifier: Apache-2.0
#include "cli/score_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"
#include "finpercep/evaluate/columns.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

/// Writes all that can be written; the first failure is thrown at the end.
class Writer {
 public:
  void write(const std::string& file, const std::string& text) {
    if (file.empty()) return;
    try {
      if (file == "-") print(text);
      else write_file(file, text);
    } catch (const Error&) {
      if (!failure_) failure_ = std::current_exception();
    }
  }
  void finish() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
};

/// Metrics of sets: one number each, which no row of a picture could hold.
Table set_table(const std::vector<ColumnSummary>& summary) {
  Table table;
  table.columns = {{"of the whole set", std::nullopt, 0},
                   {"value", std::nullopt, 4},
                   {"better", std::nullopt, 0},
                   {"pictures", std::nullopt, 0},
                   {"references", std::nullopt, 0}};
  for (const ColumnSummary& column : summary)
    if (column.references > 0)
      table.rows.push_back({column.name, column.interval.mean, column_higher_is_better(column.name) ? "higher" : "lower",
                            static_cast<double>(column.count), static_cast<double>(column.references)});
  return table;
}

// Of pictures, then of sets.
std::vector<std::string> all_columns(const ScoreJob& job) {
  std::vector<std::string> columns = score_columns(job);
  columns.insert(columns.end(), job.set_metrics.begin(), job.set_metrics.end());
  return columns;
}

/// Under every table and in every summary: where the numbers come from.
std::string provenance(const ScoreJob& job) {
  std::string text = fmt::format("finpercep {}, protocol {}", version, name_of(job.metric.protocol));
  for (const std::string& column : all_columns(job))
    if (const JudgedColumn* judged = find_judged(column); !judged || judged->stamped)
      text += fmt::format("; {}: {}", column, column_variant(job, column));
  return text;
}

std::string summary_json(const ScoreJob& job, const std::vector<ColumnSummary>& summary, int64_t failures) {
  nlohmann::ordered_json out = {{"version", version},
                                {"protocol", name_of(job.metric.protocol)},
                                {"pictures", job.pictures.size()},
                                {"failed", failures},
                                {"metrics", nlohmann::ordered_json::object()}};
  for (const ColumnSummary& column : summary) {
    if (column.references > 0) {
      out["metrics"][column.name] = {{"value", column.interval.mean},
                                     {"count", column.count},
                                     {"references", column.references},
                                     {"higher_is_better", column_higher_is_better(column.name)},
                                     {"variant", column_variant(job, column.name)}};
      continue;
    }
    out["metrics"][column.name] = {{"mean", column.interval.mean},
                                   {"low", column.interval.low},
                                   {"high", column.interval.high},
                                   {"confidence", interval_confidence},
                                   {"count", column.count},
                                   {"higher_is_better", column_higher_is_better(column.name)},
                                   {"variant", column_variant(job, column.name)}};
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Gate parse_gate(const std::string& text, const std::vector<std::string>& columns) {
  const auto equals = text.find('=');
  const auto limit = equals == std::string::npos ? std::nullopt : parse_number<double>(text.substr(equals + 1));
  if (!limit) throw usage_error(fmt::format("--fail-under: expected METRIC=NUMBER, found '{}'", text));
  Gate gate{text.substr(0, equals), *limit};
  if (gate.column == "finpercep") gate.column = score_metric;
  if (std::find(columns.begin(), columns.end(), gate.column) == columns.end())
    throw usage_error(fmt::format("--fail-under: expected one of {}, found '{}'. what else is to be computed is named with -m",
                                  fmt::join(columns, ", "), gate.column));
  return gate;
}

}  // namespace

void check_outputs(const ScoreOutputs& outputs, const ScoreJob& job, const std::vector<std::filesystem::path>& others) {
  if ((outputs.json == "-") + (outputs.csv == "-") + (outputs.summary == "-") > 1)
    throw usage_error("stdout: expected one of --json -, --csv -, --summary -, found several. give files");
  std::set<std::filesystem::path> files;
  std::error_code ignored;
  for (const std::string& file : {outputs.json, outputs.csv, outputs.summary}) {
    if (file.empty() || file == "-") continue;
    if (!files.insert(std::filesystem::weakly_canonical(file, ignored)).second)
      throw usage_error(fmt::format("output: {}: expected a file for each of --json, --csv and --summary, found it twice", file));
    for (const auto* list : {&job.pictures, &job.references, &job.set_references, &others})
      for (const auto& path : *list) {
        if (std::filesystem::equivalent(path, file, ignored))
          throw usage_error(fmt::format("output: {}: expected another file than the inputs. choose another name", file));
      }
    check_output_file(file, outputs.overwrite);
  }
}

void warn_of(const ScoreNotes& notes, std::size_t count) {
  if (notes.with_alpha > 0)
    log_warning(fmt::format("alpha: {} of {} pictures have an alpha channel, which is dropped; the first: {}", notes.with_alpha, count,
                            notes.first_alpha));
  if (notes.of_mixed_depth > 0)
    log_warning(fmt::format("depth: {} of {} pairs have different bits a sample and are compared as values in [0,1]; the first: {}",
                            notes.of_mixed_depth, count, notes.first_mixed));
}

void report_scores(const ScoreOutputs& outputs, const ScoreJob& job, const std::vector<ScoreLine>& lines,
                   const std::vector<ColumnSummary>& summary, int64_t failures) {
  const std::vector<std::string> columns = score_columns(job);
  Writer writer;
  if (!outputs.csv.empty())
    writer.write(outputs.csv, render(score_table(columns, lines, true), TableFormat::csv));  // the same columns whatever happens
  if (!outputs.json.empty() && outputs.json != "-") {
    std::string json;
    for (const ScoreLine& line : lines) json += json_line(columns, line);
    writer.write(outputs.json, json);
  }
  if (!outputs.summary.empty()) writer.write(outputs.summary, summary_json(job, summary, failures));
  writer.finish();
  if (outputs.json.empty() && outputs.csv.empty() && outputs.summary.empty()) {
    Table table = score_table(columns, lines);
    if (lines.size() > 1) {
      std::vector<Cell> mean(table.columns.size());
      mean[0] = std::string("mean [95 %]");
      for (const ColumnSummary& column : summary)
        for (std::size_t c = 1; c < mean.size(); ++c)
          if (table.columns[c].title == column.name) mean[c] = column.interval;
      table.rows.push_back(std::move(mean));
    }
    Table sets = set_table(summary);
    if (!columns.empty()) {
      if (!sets.rows.empty()) print(render(sets, TableFormat::text) + "\n");
      sets = std::move(table);
    }
    sets.caption = provenance(job);
    print(render(sets, TableFormat::text));
  } else if (lines.size() > 1 || columns.empty()) {
    for (const ColumnSummary& column : summary) {
      if (column.references > 0) {
        log_info(fmt::format("{} {:.4f}, {} pictures against {}, {} is better", column.name, column.interval.mean, column.count,
                             column.references, column_higher_is_better(column.name) ? "higher" : "lower"));
        continue;
      }
      log_info(fmt::format("{} {} over {} pictures, {} is better", column.name, cell_text(column.interval, 4), column.count,
                           column_higher_is_better(column.name) ? "higher" : "lower"));
    }
  }
}

std::string failed_gates(const std::vector<Gate>& gates, const std::vector<ColumnSummary>& summary) {
  std::vector<std::string> failed;
  for (const Gate& gate : gates) {
    const auto column = std::ranges::find(summary, gate.column, &ColumnSummary::name);
    if (column == summary.end()) continue;
    const bool higher = column_higher_is_better(gate.column);
    const double mean = column->interval.mean;
    if (higher ? mean < gate.limit : mean > gate.limit)
      failed.push_back(fmt::format("{}: expected {} {}, found {:.6g}", gate.column, higher ? "at least" : "at most", gate.limit, mean));
  }
  return failed.empty() ? "" : fmt::format("gate: {}", fmt::join(failed, "; "));
}

std::vector<Gate> parse_gates(const std::vector<std::string>& texts, const ScoreJob& job) {
  const std::vector<std::string> columns = all_columns(job);
  std::vector<Gate> gates;
  for (const std::string& text : texts) gates.push_back(parse_gate(text, columns));
  return gates;
}

}  // namespace finpercep
