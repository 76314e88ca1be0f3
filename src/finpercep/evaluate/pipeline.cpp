// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/pixel_budget.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

constexpr int pictures_ahead = 8;

struct Item {
  Sample sample;
  std::vector<double> plain;  // values of the metrics without nets
  int64_t pixels = 0;         // to be given back to the budget
  std::string unread;         // why there is nothing to measure
  std::string failure;        // of those metrics
};

// What `work` throws for this picture alone, in one line that names it. Errors of reading have the file's name already.
template <class Work>
std::string failure_of(const std::string& name, bool reading, const Work& work) {
  try {
    work();
    return "";
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    const std::string text = error.what(), line = text.substr(0, text.find('\n'));
    return reading ? line : fmt::format("{}: {}", name, line);
  } catch (const std::exception& error) {
    if (!out_of_memory(error)) throw;
    return name + ": expected enough memory for this picture, ran out. measure it alone, or make it smaller";
  }
}

// `picture` and `reference` are how the message calls them: "sr/a.png: " and " gt/a.png", or nothing.
void check_sizes(const Sample& sample, const std::string& picture, const std::string& reference) {
  const Image &sr = sample.sr, &ref = sample.ref;
  if (!ref.data.empty() && (sr.width != ref.width || sr.height != ref.height))
    throw input_error(fmt::format("{}expected the size of its reference{}, {}x{}, found {}x{}. resize or crop one of them", picture,
                                  reference, ref.width, ref.height, sr.width, sr.height));
}

// Metrics without a reference look at the first only.
const Image& reference_of(const Sample& sample) { return sample.ref.data.empty() ? sample.sr : sample.ref; }

void add_line(std::string& lines, const std::string& line) { lines += (lines.empty() || line.empty() ? "" : "; ") + line; }

// NaN for one that this picture is not for (NIQE of a small one): the others stand.
std::vector<double> values_of(const MetricSet& metrics, const Sample& sample, const std::string& name, std::string& failure) {
  std::vector<double> values(metrics.names().size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < values.size(); ++i)
    add_line(failure, failure_of(name, false, [&] { values[i] = metrics.compute(i, sample.sr, reference_of(sample)); }));
  return values;
}

// Known, named once, and with a judge that has them: said before a net is opened.
PipelineOptions checked(PipelineOptions options) {
  const std::vector<std::string>& names = options.metrics;
  for (std::size_t i = 0; i < names.size(); ++i) {
    refuse_twice(names, i);
    const JudgedColumn* judged = find_judged(names[i]);
    if (!judged) {
      find_metric(names[i]);
      continue;
    }
    if (!options.judge) throw internal_error("pipeline: expected a judge for the judged columns, found none");
    if (judged->of_map && options.judge->stage() == 0)
      throw usage_error(
          fmt::format("metrics: {}: expected RM_1 or finer, found RM_0 of {}, which has no map", names[i], options.judge->model()));
  }
  return options;
}

// Those of the registry with or without a net.
std::vector<std::string> registry_names(const std::vector<std::string>& metrics, bool learned) {
  std::vector<std::string> out;
  for (const std::string& name : metrics)
    if (!is_judged(name) && find_metric(name).runs_net == learned) out.push_back(name);
  return out;
}

MetricOptions with_threads(MetricOptions options, int threads) {
  options.threads = threads;
  return options;
}

}  // namespace

Sample read_sample(const std::filesystem::path& picture, const std::filesystem::path& reference, const Reserve& reserve, SampleInfo* info) {
  const bool paired = !reference.empty();
  const std::vector<std::byte> bytes = read_file(picture), other = paired ? read_file(reference) : std::vector<std::byte>();
  const SampleInfo found{probe_image(bytes), paired ? probe_image(other) : PictureInfo{}};
  const int64_t most = ReadLimits().max_pixels;  // larger ones are refused by the decoder
  reserve(std::min(found.sr.pixels(), most) + std::min(found.ref.pixels(), most));
  Sample sample{decode_image(bytes, picture.string()), paired ? decode_image(other, reference.string()) : Image()};
  check_sizes(sample, picture.string() + ": ", " " + reference.string());
  if (info) *info = found;
  return sample;
}

Pipeline::Pipeline(PipelineOptions options)
    : options_(checked(std::move(options))),
      judges_(std::ranges::any_of(options_.metrics, is_judged)),
      learned_(registry_names(options_.metrics, true), options_.metric),
      plain_(registry_names(options_.metrics, false), options_.metric),
      plain_alone_(plain_.names(), with_threads(options_.metric, 0)) {
  for (const std::string& name : options_.metrics) {
    const JudgedColumn* judged = find_judged(name);
    columns_.push_back({judged, !judged && find_metric(name).runs_net});
  }
}

std::vector<double> Pipeline::in_order(const std::vector<double>& plain, const std::vector<double>& learned, const Verdict& verdict) const {
  std::vector<double> values;
  auto next_plain = plain.begin(), next_learned = learned.begin();
  for (const Column& column : columns_)
    values.push_back(column.judged ? double{verdict.*(column.judged->value)} : column.runs_net ? *next_learned++ : *next_plain++);
  return values;
}

void Pipeline::run(const std::vector<std::string>& names, const LoadSample& load, const RunOptions& options,
                   const std::function<bool(Measured)>& take) const {
  const MetricSet& plain = options.alone ? plain_alone_ : plain_;
  const bool deep = judges_ || !learned_.names().empty();
  const auto count = static_cast<int64_t>(names.size());
  const int threads = options.alone ? 1 : options.threads > 0 ? options.threads : default_threads();

  PixelBudget budget(options.pixels_in_flight);
  Prefetcher<Item> items(0, count, threads, std::max(pictures_ahead, 2 * threads), [&](int64_t i) {
    Item item;
    bool entered = false;
    const auto enter = [&](int64_t pixels) {
      if (std::exchange(entered, true)) return;
      budget.enter(i, pixels);
      item.pixels = pixels;
    };
    item.unread = failure_of(names[i], true, [&] { item.sample = load(i, enter); });
    enter(static_cast<int64_t>(item.sample.sr.plane_size() + item.sample.ref.plane_size()));  // of a load that makes its pictures
    if (item.unread.empty()) item.unread = failure_of(names[i], false, [&] { check_sizes(item.sample, "", ""); });
    if (item.unread.empty()) item.plain = values_of(plain, item.sample, names[i], item.failure);
    if (!deep || !item.unread.empty()) {
      item.sample = {};
      budget.leave(std::exchange(item.pixels, 0));
    }
    return item;
  });
  const auto close = [](PixelBudget* open) { open->close(); };
  const std::unique_ptr<PixelBudget, decltype(close)> close_before_workers_are_awaited(&budget, close);
  for (int64_t i = 0; i < count; ++i) {
    Item item = *items.next();
    Measured out{.values = {}, .failure = std::move(item.unread)};
    if (out.failure.empty()) {
      out.failure = std::move(item.failure);
      const std::vector<double> of_nets = values_of(learned_, item.sample, names[i], out.failure);
      Verdict verdict;
      for (const JudgedColumn& column : judged_columns) verdict.*column.value = std::numeric_limits<float>::quiet_NaN();
      if (judges_) add_line(out.failure, failure_of(names[i], false, [&] { verdict = (*options_.judge)(item.sample.sr); }));
      out.values = in_order(item.plain, of_nets, verdict);
    }
    item.sample = {};
    budget.leave(item.pixels);
    if (!take(std::move(out))) return;
  }
}

}  // namespace finpercep
