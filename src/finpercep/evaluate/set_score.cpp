// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/set_score.h"

#include <fmt/format.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/io.h"
#include "finpercep/metrics/fid.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

constexpr std::size_t batch = 8;
constexpr int prepared_ahead = 16;

at::Tensor features_of(const Fid& fid, const std::vector<std::filesystem::path>& files, int threads,
                       const std::function<void()>& on_picture) {
  const auto count = static_cast<int64_t>(files.size());
  Prefetcher<at::Tensor> prepared(0, count, threads, prepared_ahead, [&](int64_t i) { return Fid::prepare(read_image(files[i])); });
  std::vector<at::Tensor> waiting, features;
  for (int64_t i = 0; i < count; ++i) {
    waiting.push_back(*prepared.next());
    if (waiting.size() == batch || i + 1 == count) {
      features.push_back(fid.features(at::cat(waiting)));
      waiting.clear();
    }
    if (on_picture) on_picture();
  }
  return at::cat(features);
}

}  // namespace

ColumnSummary score_set(const ScoreJob& job, const std::string& metric, const std::function<void()>& on_picture) {
  if (!find_metric(metric).of_set) throw usage_error(fmt::format("score: expected a metric of sets, found '{}'", metric));
  const std::size_t fewest = std::min(job.pictures.size(), job.set_references.size());
  if (fewest < 2) throw input_error(fmt::format("{}: expected at least 2 pictures in each set, found {}. give folders", metric, fewest));
  const Fid fid = Fid::load(resolve_compute(job.metric.device, "fp32").device);
  const at::Tensor pictures = features_of(fid, job.pictures, job.threads, on_picture),
                   references = features_of(fid, job.set_references, job.threads, on_picture);
  const double value = frechet_distance(pictures, references);
  return {metric, pictures.size(0), {value, value, value}, references.size(0)};
}

std::vector<ColumnSummary> score_sets(const ScoreJob& job, std::string& failure) {
  std::vector<ColumnSummary> summary;
  for (const std::string& name : job.set_metrics) {
    try {
      Progress progress(name, static_cast<int64_t>(job.pictures.size() + job.set_references.size()));
      summary.push_back(score_set(job, name, [&] {
        stop_if_interrupted(name + " was not finished");
        progress.advance();
      }));
      const ColumnSummary& made = summary.back();
      if (std::min(made.count, made.references) < fid_full_rank)
        log_warning(
            fmt::format("{}: expected at least {} pictures a set, found {} and {}: the covariances are singular and the value is biased by "
                        "the counts. compare it only "
                        "with sets of these sizes",
                        name, fid_full_rank, made.count, made.references));
    } catch (const Error& error) {
      if (error.code() != ExitCode::input || score_columns(job).empty()) throw;
      log_warning(error.what());
      if (failure.empty()) failure = error.what();
    }
  }
  return summary;
}

}  // namespace finpercep
