// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/parallel.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"

namespace finpercep {

namespace {

/// Pictures are let in by their turn, so the one that the reader waits for is never behind a later one; a picture larger than the whole
/// budget is let in alone.
class PixelBudget {
 public:
  explicit PixelBudget(int64_t limit) : limit_(limit) {}

  void enter(int64_t turn, int64_t pixels) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || (turn_ == turn && (in_flight_ == 0 || in_flight_ + pixels <= limit_)); });
    in_flight_ += pixels;
    ++turn_;
    lock.unlock();
    changed_.notify_all();
  }
  void leave(int64_t pixels) {
    {
      std::lock_guard lock(mutex_);
      in_flight_ -= pixels;
    }
    changed_.notify_all();
  }
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  int64_t limit_, in_flight_ = 0, turn_ = 0;
  bool closed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

struct Measured {
  Image picture, reference;
  std::vector<double> values;  // of the metrics without nets
  int64_t pixels = 0;          // to be given back to the budget
  bool alpha = false, mixed_depth = false;
  std::string error;
};

std::string one_line(const std::exception& error, const std::filesystem::path& path) {
  std::string text = error.what();
  text = text.substr(0, text.find('\n'));
  if (out_of_memory(error)) text = "expected enough memory for this picture, ran out. score it alone, or make it smaller";
  return text.find(path.string()) == std::string::npos ? fmt::format("{}: {}", path.string(), text) : text;
}

void check_sizes(const Image& picture, const Image& reference, const std::string& name, const std::string& reference_name) {
  if (picture.width == reference.width && picture.height == reference.height) return;
  throw input_error(fmt::format("pair: {} and {}: expected equal sizes, found {} x {} and {} x {}. resize or crop one of them", name,
                                reference_name, picture.width, picture.height, reference.width, reference.height));
}

double checked(const std::string& metric, double value) {
  if (!std::isfinite(value)) throw input_error(fmt::format("{}: expected a finite number, found {}", metric, value));
  return value;
}

/// The metrics with nets run where torch has its own threads, the others on the workers.
struct Metrics {
  std::vector<std::string> plain_names, deep_names;
  std::optional<MetricSet> plain, deep;

  explicit Metrics(const ScoreJob& job, int threads) {
    for (const std::string& name : job.metrics) (find_metric(name).runs_net ? deep_names : plain_names).push_back(name);
    MetricOptions options = job.metric;
    options.threads = threads;
    if (!plain_names.empty()) plain.emplace(plain_names, options);
    if (!deep_names.empty()) deep.emplace(deep_names, options);
  }
};

}  // namespace

ScoreNotes score_pictures(const ScoreJob& job, const std::function<bool(ScoreLine)>& on_line) {
  if (!job.references.empty() && job.references.size() != job.pictures.size())
    throw Error(ExitCode::internal, "score: expected one reference a picture");
  const auto count = static_cast<int64_t>(job.pictures.size());
  const int threads = job.threads > 0 ? job.threads : default_threads();
  const Metrics metrics(job, static_cast<int>(std::max<int64_t>(1, threads / std::max<int64_t>(1, count))));
  std::optional<Judge> judge;
  if (job.judging) judge.emplace(job.judge);
  const bool paired = !job.references.empty(), deep = judge || metrics.deep;

  PixelBudget budget(job.pixels_in_flight);
  const auto load = [&](int64_t i) {
    Measured item;
    bool entered = false;
    try {
      const std::string name = job.pictures[i].string(), reference_name = paired ? job.references[i].string() : "";
      const std::vector<std::byte> bytes = read_file(job.pictures[i]);
      const std::vector<std::byte> reference = paired ? read_file(job.references[i]) : std::vector<std::byte>();
      const PictureInfo info = probe_image(bytes), other = paired ? probe_image(reference) : PictureInfo{};
      const int64_t most = ReadLimits().max_pixels;  // larger ones are refused by the decoder
      item.pixels = std::min(info.pixels(), most) + std::min(other.pixels(), most);
      budget.enter(i, item.pixels);
      entered = true;
      item.picture = decode_image(bytes, name);
      item.alpha = info.alpha;
      if (paired) {
        item.mixed_depth = other.bits != info.bits;
        item.reference = decode_image(reference, reference_name);
        check_sizes(item.picture, item.reference, name, reference_name);
      }
      if (metrics.plain) item.values = metrics.plain->compute(item.picture, paired ? item.reference : item.picture);
    } catch (const std::exception& error) {
      item.error = one_line(error, job.pictures[i]);
    }
    if (!entered) budget.enter(i, item.pixels = 0);
    if (!deep || !item.error.empty()) {
      item.picture = item.reference = Image();
      budget.leave(std::exchange(item.pixels, 0));
    }
    return item;
  };

  ScoreNotes notes;
  Prefetcher<Measured> measured(0, count, threads, 2 * threads, load);
  const auto close = [](PixelBudget* open) { open->close(); };
  const std::unique_ptr<PixelBudget, decltype(close)> close_before_workers_are_awaited(&budget, close);
  for (int64_t i = 0; i < count; ++i) {
    Measured item = *measured.next();
    ScoreLine line{job.pictures[i].string(), {}, item.error};
    if (item.error.empty()) {
      try {
        if (judge) {
          const Verdict verdict = (*judge)(item.picture);
          line.values = {{"finpercep.score", checked("finpercep", verdict.score)}};
          if (judge->stage() > 0)  // RM_0 has no map
            line.values.insert(line.values.end(), {{"finpercep.severity", verdict.severity},
                                                   {"finpercep.map_max", verdict.map_max},
                                                   {"finpercep.map_mean", verdict.map_mean}});
        }
        const std::vector<double> values =
            metrics.deep ? metrics.deep->compute(item.picture, paired ? item.reference : item.picture) : std::vector<double>();
        std::size_t plain_at = 0, deep_at = 0;
        for (const std::string& name : job.metrics)
          line.values.emplace_back(name, checked(name, find_metric(name).runs_net ? values[deep_at++] : item.values[plain_at++]));
      } catch (const std::exception& error) {
        const auto* of_ours = dynamic_cast<const Error*>(&error);
        if (of_ours != nullptr && of_ours->code() == ExitCode::interrupted) break;  // not the picture's fault
        line.values.clear();
        line.error = one_line(error, job.pictures[i]);
      }
    }
    if (item.alpha && notes.with_alpha++ == 0) notes.first_alpha = line.path;
    if (item.mixed_depth && notes.of_mixed_depth++ == 0) notes.first_mixed = line.path;
    item.picture = item.reference = Image();
    budget.leave(item.pixels);
    if (!on_line(std::move(line))) break;
  }
  return notes;
}

std::vector<std::string> score_columns(const ScoreJob& job) {
  std::vector<std::string> columns;
  if (job.judging) columns = {"finpercep.score"};
  if (job.judging && job.judge.stage != 0) columns.insert(columns.end(), {"finpercep.severity", "finpercep.map_max", "finpercep.map_mean"});
  columns.insert(columns.end(), job.metrics.begin(), job.metrics.end());
  return columns;
}

std::string column_variant(const ScoreJob& job, const std::string& column) {
  if (!column.starts_with("finpercep.")) return variant_text(column, job.metric.protocol, job.metric.crop_border);
  return fmt::format("model {} {}, {}", job.judge.model, weights_hash(job.judge.model),
                     job.judge.stage < 0 ? "its finest stage" : fmt::format("stage {}", job.judge.stage));
}

bool column_higher_is_better(const std::string& column) {
  if (column.starts_with("finpercep.")) return column == "finpercep.score";
  return find_metric(column).higher_is_better;
}

std::vector<ColumnSummary> summarise(const std::vector<ScoreLine>& lines, const std::vector<std::string>& columns) {
  std::vector<ColumnSummary> out;
  for (const std::string& name : columns) {
    std::vector<double> values;
    for (const ScoreLine& line : lines)
      for (const auto& [column, value] : line.values)
        if (column == name && value) values.push_back(*value);
    if (!values.empty()) out.push_back({name, static_cast<int64_t>(values.size()), bootstrap_mean(values)});
  }
  return out;
}

}  // namespace finpercep
