// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

constexpr int pictures_ahead = 8;

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

struct Item {
  Sample sample;
  std::vector<double> plain;  // values of the metrics without nets
  int64_t pixels = 0;         // to be given back to the budget
  std::string failure;
};

// A path may stand anywhere in a message about it; a stem ("a") is in many words.
bool names_it(const std::string& message, const std::string& name) {
  if (name.find_first_of("./") != std::string::npos) return message.find(name) != std::string::npos;
  return message.starts_with(name + ": ") || message.find("/" + name + ".") != std::string::npos;
}

// What `work` throws for this picture alone.
template <class Work>
std::string failure_of(const std::string& name, const Work& work) {
  std::string text;
  try {
    work();
    return "";
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    text = error.what();
  } catch (const std::exception& error) {
    if (!out_of_memory(error)) throw;
    text = "expected enough memory for this picture, ran out. measure it alone, or make it smaller";
  }
  text = text.substr(0, text.find('\n'));
  return names_it(text, name) ? text : fmt::format("{}: {}", name, text);
}

void check_sizes(const Sample& sample, const std::string& picture, const std::string& reference) {
  const Image &sr = sample.sr, &ref = sample.ref;
  if (!ref.data.empty() && (sr.width != ref.width || sr.height != ref.height))
    throw input_error(fmt::format("{}: expected the size of its reference{}, {}x{}, found {}x{}. resize or crop one of them", picture,
                                  reference, ref.width, ref.height, sr.width, sr.height));
}

struct Split {
  std::vector<std::string> plain, learned;
  bool judged = false;
};
Split split(const std::vector<std::string>& metrics) {
  Split out;
  for (const std::string& name : metrics) {
    if (is_judged(name)) out.judged = true;
    else (find_metric(name).runs_net ? out.learned : out.plain).push_back(name);
  }
  return out;
}

}  // namespace

void check_metrics(const PipelineOptions& options) {
  for (const JudgedColumn& column : judged_columns)
    if (std::ranges::count(options.metrics, column.name) > 1)
      throw usage_error(fmt::format("metric: '{}' is given twice. name it once", column.name));
  std::vector<std::string> of_registry = options.metrics;
  std::erase_if(of_registry, is_judged);
  const MetricSet known(of_registry, options.metric);
}

Sample read_sample(const std::filesystem::path& picture, const std::filesystem::path& reference, const Reserve& reserve, SampleInfo* info) {
  const bool paired = !reference.empty();
  const std::vector<std::byte> bytes = read_file(picture), other = paired ? read_file(reference) : std::vector<std::byte>();
  const SampleInfo found{probe_image(bytes), paired ? probe_image(other) : PictureInfo{}};
  const int64_t most = ReadLimits().max_pixels;  // larger ones are refused by the decoder
  reserve(std::min(found.sr.pixels(), most) + std::min(found.ref.pixels(), most));
  Sample sample{decode_image(bytes, picture.string()), paired ? decode_image(other, reference.string()) : Image()};
  check_sizes(sample, picture.string(), " " + reference.string());
  if (info) *info = found;
  return sample;
}

void measure_pictures(const std::vector<std::string>& names, const LoadSample& load, const PipelineOptions& options,
                      const std::function<bool(Measured)>& take) {
  const Split metrics = split(options.metrics);
  TORCH_CHECK(!metrics.judged || options.judge, "measure_pictures: a judged column needs a judge");
  const MetricSet plain(metrics.plain, options.metric), learned(metrics.learned, options.metric);
  const bool deep = metrics.judged || !metrics.learned.empty();
  const auto count = static_cast<int64_t>(names.size());
  const int threads = options.threads > 0 ? options.threads : default_threads();
  const auto reference = [](const Sample& sample) -> const Image& { return sample.ref.data.empty() ? sample.sr : sample.ref; };

  PixelBudget budget(options.pixels_in_flight);
  Prefetcher<Item> items(0, count, threads, std::max(pictures_ahead, 2 * threads), [&](int64_t i) {
    Item item;
    bool entered = false;
    const auto enter = [&](int64_t pixels) {
      if (std::exchange(entered, true)) return;
      budget.enter(i, pixels);
      item.pixels = pixels;
    };
    item.failure = failure_of(names[i], [&] {
      item.sample = load(i, enter);
      enter(0);
      check_sizes(item.sample, names[i], "");
      item.plain = plain.compute(item.sample.sr, reference(item.sample));
    });
    enter(0);
    if (!deep || !item.failure.empty()) {
      item.sample = {};
      budget.leave(std::exchange(item.pixels, 0));
    }
    return item;
  });
  const auto close = [](PixelBudget* open) { open->close(); };
  const std::unique_ptr<PixelBudget, decltype(close)> close_before_workers_are_awaited(&budget, close);
  for (int64_t i = 0; i < count; ++i) {
    Item item = *items.next();
    Measured out{.values = {}, .failure = std::move(item.failure)};
    std::vector<double> of_nets;
    Verdict verdict;
    if (out.failure.empty() && deep)
      out.failure = failure_of(names[i], [&] {
        if (!metrics.learned.empty()) of_nets = learned.compute(item.sample.sr, reference(item.sample));
        if (metrics.judged) verdict = (*options.judge)(item.sample.sr);
      });
    item.sample = {};
    budget.leave(item.pixels);
    if (out.failure.empty()) {
      std::size_t next_plain = 0, next_learned = 0;
      for (const std::string& name : options.metrics) {
        const JudgedColumn* judged = find_judged(name);
        out.values.push_back(judged                       ? double{verdict.*(judged->value)}
                             : find_metric(name).runs_net ? of_nets[next_learned++]
                                                          : item.plain[next_plain++]);
      }
    }
    if (!take(std::move(out))) return;
  }
}

}  // namespace finpercep
