// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/evaluate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/io.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

constexpr int pictures_ahead = 8;  // bounds the memory that finished but not yet consumed pictures hold

struct Measured {
  Sample sample;
  std::vector<double> values;  // of the metrics without nets
  std::string failure;
};

void check_sizes(const Sample& sample, const std::string& picture, const std::string& reference) {
  const Image &sr = sample.sr, &ref = sample.ref;
  if (sr.width != ref.width || sr.height != ref.height)
    throw input_error(fmt::format("{}: expected the size of its reference{}, {}x{}, found {}x{}. resize or crop one of them", picture,
                                  reference, ref.width, ref.height, sr.width, sr.height));
}

// What `work` throws for this picture alone.
template <class Work>
std::string failure_of(const std::string& name, const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    const std::string what = error.what();  // that of a file begins with its path
    return !what.starts_with(name + ": ") && what.find("/" + name + ".") == std::string::npos ? fmt::format("{}: {}", name, what) : what;
  } catch (const std::exception& error) {
    if (!out_of_memory(error)) throw;
    return fmt::format("{}: expected enough memory for this picture, ran out. measure it alone, or make it smaller", name);
  }
  return "";
}

}  // namespace

bool is_judged(const std::string& metric) { return metric == score_metric || metric == severity_metric; }

void check_metrics(const EvaluateOptions& options) {
  std::vector<std::string> of_registry = options.metrics;
  std::erase_if(of_registry, is_judged);
  for (const char* name : {score_metric, severity_metric})
    if (std::ranges::count(options.metrics, name) > 1) throw usage_error(fmt::format("metric: '{}' is given twice. name it once", name));
  const MetricSet known(of_registry, options.metric);
}

std::vector<double> Evaluation::column(const std::string& metric) const {
  const auto at = std::find(metrics.begin(), metrics.end(), metric);
  if (at == metrics.end()) throw usage_error(fmt::format("evaluation: expected one of {}, found '{}'", fmt::join(metrics, ", "), metric));
  std::vector<double> out;
  for (const auto& row : values) out.push_back(row[at - metrics.begin()]);
  return out;
}

bool Evaluation::measured(std::size_t picture) const {
  return !std::ranges::all_of(values[picture], [](double value) { return std::isnan(value); });
}

// Reading and the metrics in plain C++ run on workers, one picture a thread; nets run here, where torch has its own threads.
Evaluation evaluate(const std::vector<std::string>& names, const std::function<Sample(int64_t)>& load, const EvaluateOptions& options) {
  if (names.empty()) throw usage_error("evaluate: expected at least one picture, found none");
  std::vector<std::string> plain, learned;
  bool judged = false;
  for (const auto& name : options.metrics) {
    if (is_judged(name)) judged = true;
    else (find_metric(name).runs_net ? learned : plain).push_back(name);
  }
  TORCH_CHECK(!judged || options.judge, "evaluate: ", score_metric, " and ", severity_metric, " need a judge");
  const MetricSet plain_set(plain, options.metric), learned_set(learned, options.metric);

  Evaluation out;
  out.metrics = options.metrics;
  out.names = names;
  std::optional<Progress> bar;
  const auto count = static_cast<int64_t>(names.size());
  if (!options.progress.empty()) bar.emplace(options.progress, count);
  Prefetcher<Measured> measured(0, count, options.threads, pictures_ahead, [&](int64_t i) {
    Measured item;
    item.failure = failure_of(names[i], [&] {
      item.sample = load(i);
      check_sizes(item.sample, names[i], "");
      item.values = plain_set.compute(item.sample.sr, item.sample.ref);
    });
    if (learned.empty() && !judged) item.sample = {};
    return item;
  });
  while (auto item = measured.next()) {
    std::vector<double> deep;
    std::pair<double, double> verdict;
    if (item->failure.empty() && (judged || !learned.empty()))
      item->failure = failure_of(names[out.values.size()], [&] {
        if (!learned.empty()) deep = learned_set.compute(item->sample.sr, item->sample.ref);
        if (judged) {
          const Verdict v = (*options.judge)(item->sample.sr);
          verdict = {v.score, v.severity};
        }
      });
    std::vector<double> row(options.metrics.size(), std::numeric_limits<double>::quiet_NaN());
    if (item->failure.empty()) {
      std::size_t next_plain = 0, next_deep = 0;
      for (std::size_t m = 0; m < row.size(); ++m) {
        const std::string& name = options.metrics[m];
        row[m] = name == score_metric         ? verdict.first
                 : name == severity_metric    ? verdict.second
                 : find_metric(name).runs_net ? deep[next_deep++]
                                              : item->values[next_plain++];
      }
    } else {
      log_warning(item->failure);
      out.failures.push_back(std::move(item->failure));
    }
    out.values.push_back(std::move(row));
    if (bar) bar->advance();
    stop_if_interrupted(fmt::format("after {} of {} pictures", out.values.size(), count));
  }
  return out;
}

Evaluation evaluate(const std::vector<Pair>& pairs, const EvaluateOptions& options) {
  const auto load = [&](int64_t i) {
    Sample sample{read_image(pairs[i].first), read_image(pairs[i].second)};
    check_sizes(sample, pairs[i].first.string(), " " + pairs[i].second.string());
    return sample;
  };
  return evaluate(names_of(pairs), load, options);
}

Table per_image_table(const Evaluation& evaluation, const EvaluateOptions& options) {
  Table table;
  table.columns.push_back({"name", std::nullopt, 0});
  for (const auto& name : evaluation.metrics) table.columns.push_back(metric_column(name));
  for (std::size_t i = 0; i < evaluation.names.size(); ++i) {
    std::vector<Cell> row = {evaluation.names[i]};
    for (double value : evaluation.values[i]) row.push_back(value);
    table.rows.push_back(std::move(row));
  }
  table.caption = fmt::format("finpercep {}; {}", version, variants_text(options));
  return table;
}

}  // namespace finpercep
