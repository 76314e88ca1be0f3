// SPDX-License-Identifier: Apache-2.0
// Scores of many pictures, a line each.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/base/pixel_budget.h"
#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

struct ScoreJob {
  std::vector<std::filesystem::path> pictures;
  std::vector<std::filesystem::path> references;      ///< one a picture, or none
  const Judge* judge = nullptr;                       ///< of the judged columns; null: none
  std::string judge_stamp;                            ///< stamp_of(*judge): it reads the whole file of weights, so once for all columns
  std::vector<std::string> metrics;                   ///< full-reference ones need references
  std::vector<std::string> set_metrics;               ///< for score_set: not computed here, and no columns
  std::vector<std::filesystem::path> set_references;  ///< the set that they compare with
  MetricOptions metric;
  int threads = 0;                                    ///< workers; 0: all cores
  int64_t pixels_in_flight = usual_pixels_in_flight;  ///< bounds memory: more are decoded only when a single picture has more
};

/// What was noticed on the way and is no error: counted, with the first file as an example.
struct ScoreNotes {
  int64_t with_alpha = 0, of_mixed_depth = 0;
  std::string first_alpha, first_mixed;
};

/// One line a picture, in the order of the job; a picture that cannot be scored has a line with `error` and no values. `on_line` returns
/// false to stop early. model_error for absent weights comes before the first line.
ScoreNotes score_pictures(const ScoreJob& job, const std::function<bool(ScoreLine)>& on_line);

/// "model finpercep-rm xxh3:.., stage 4": what a judged column means.
std::string stamp_of(const Judge& judge);

/// The columns that the job's lines have; of RM_0, which has no map, the score only.
std::vector<std::string> score_columns(const ScoreJob& job);
/// What exactly a column means: "Y of studio YCbCr, .., crop 0"; of a judged one the judge's stamp.
std::string column_variant(const ScoreJob& job, const std::string& column);

struct ColumnSummary {
  std::string name;
  int64_t count = 0;
  Interval interval;
  int64_t references = 0;  ///< of a metric of sets: how many pictures the other set has; the interval is its one value then
};
/// Mean and 95 % bootstrap interval of each column, which are those of the lines, over the lines that have it; columns without any value
/// are left out.
std::vector<ColumnSummary> summarise(const std::vector<ScoreLine>& lines, const std::vector<std::string>& columns);

}  // namespace finpercep
