// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/evaluate/pipeline.h"
#include "finpercep/generate/super_resolver.h"

namespace finpercep {

namespace {

// A metric that failed has said why; a value that no reader can use has not.
std::string not_finite(const std::vector<std::string>& columns, const std::vector<double>& values) {
  for (std::size_t c = 0; c < values.size(); ++c)
    if (!std::isfinite(values[c])) return fmt::format("{}: expected a finite number, found {}", columns[c], values[c]);
  return "";
}

}  // namespace

ScoreNotes score_pictures(const ScoreJob& job, const std::function<bool(ScoreLine)>& on_line) {
  if (!job.references.empty() && job.references.size() != job.pictures.size())
    throw internal_error("score: expected one reference a picture");
  const std::vector<std::string> columns = score_columns(job);
  const auto count = static_cast<int64_t>(job.pictures.size());
  const int threads = job.threads > 0 ? job.threads : default_threads();
  MetricOptions metric = job.metric;
  metric.threads = static_cast<int>(std::max<int64_t>(1, threads / std::max<int64_t>(1, count)));
  const Pipeline pipeline({.metrics = columns, .metric = metric, .judge = job.judge});
  std::vector<std::string> names;
  for (const auto& picture : job.pictures) names.push_back(picture.string());
  std::vector<SampleInfo> infos(count);  // of those that could be read
  const auto load = [&](int64_t i, const Reserve& reserve) {
    return read_sample(job.pictures[i], job.references.empty() ? "" : job.references[i], reserve, &infos[i]);
  };

  ScoreNotes notes;
  std::size_t next = 0;
  const auto take = [&](Measured measured) {
    const std::size_t i = next++;
    ScoreLine line{names[i], std::move(measured.values), std::move(measured.failure)};
    if (const std::string fault = not_finite(columns, line.values); line.error.empty() && !fault.empty())
      line.error = fmt::format("{}: {}", names[i], fault);
    const SampleInfo& info = infos[i];
    if (info.sr.alpha && notes.with_alpha++ == 0) notes.first_alpha = line.path;
    if (!job.references.empty() && info.sr.bits != info.ref.bits && notes.of_mixed_depth++ == 0) notes.first_mixed = line.path;
    return on_line(std::move(line));
  };
  try {
    pipeline.run(names, load, {.threads = job.threads, .pixels_in_flight = job.pixels_in_flight}, take);
  } catch (const Error& error) {
    if (error.code() != ExitCode::interrupted) throw;  // in the middle of a picture: the lines before it stand
  }
  return notes;
}

std::string stamp_of(const Judge& judge) {
  return fmt::format("model {} {}, stage {}", judge.model(), weights_hash(judge.model()), judge.stage());
}

std::vector<std::string> score_columns(const ScoreJob& job) {
  std::vector<std::string> columns;
  for (const JudgedColumn& column : judged_columns)
    if (job.judge && (job.judge->stage() > 0 || !column.of_map)) columns.emplace_back(column.name);
  columns.insert(columns.end(), job.metrics.begin(), job.metrics.end());
  return columns;
}

std::string column_variant(const ScoreJob& job, const std::string& column) {
  return is_judged(column) ? job.judge_stamp : variant_text(column, job.metric.protocol, job.metric.crop_border);
}

std::vector<ColumnSummary> summarise(const std::vector<ScoreLine>& lines, const std::vector<std::string>& columns) {
  std::vector<ColumnSummary> out;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::vector<double> values;
    for (const ScoreLine& line : lines)
      if (!line.values.empty() && std::isfinite(line.values[c])) values.push_back(line.values[c]);
    if (!values.empty()) out.push_back({columns[c], static_cast<int64_t>(values.size()), bootstrap_mean(values)});
  }
  return out;
}

}  // namespace finpercep
