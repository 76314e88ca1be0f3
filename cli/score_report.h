// SPDX-License-Identifier: Apache-2.0
// What `score` prints and writes once the pictures are scored, and its gates.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/evaluate/score.h"

namespace finpercep {

/// Files, or - for stdout; "" is not wanted.
struct ScoreOutputs {
  std::string json, csv, summary;
  bool overwrite = false;
};

/// Before any work: at most one output on stdout, no output over an input or over `others` that are read (lists, the model), nothing
/// replaced unasked.
void check_outputs(const ScoreOutputs& outputs, const ScoreJob& job, const std::vector<std::filesystem::path>& others);

/// What was noticed in `count` pictures, as warnings.
void warn_of(const ScoreNotes& notes, std::size_t count);

/// JSON lines for stdout have been printed as they came; without any output a table goes to stdout.
void report_scores(const ScoreOutputs& outputs, const ScoreJob& job, const std::vector<ScoreLine>& lines,
                   const std::vector<ColumnSummary>& summary, int64_t failures);

/// --fail-under METRIC=VALUE.
struct Gate {
  std::string column;
  double limit = 0;
};
/// usage_error for another form or a metric that the job does not compute.
std::vector<Gate> parse_gates(const std::vector<std::string>& texts, const ScoreJob& job);
/// All means that are worse than their gates, in a line; "" where none is. Gates of columns without a value are left out.
std::string failed_gates(const std::vector<Gate>& gates, const std::vector<ColumnSummary>& summary);

}  // namespace finpercep
