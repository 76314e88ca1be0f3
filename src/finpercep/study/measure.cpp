// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/columns.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

// Every picture's values at full use; the caption says what they depend on.
std::string csv_of(const Evaluation& evaluation, const EvaluateOptions& options, const std::string& facts) {
  Table table = per_image_table(evaluation, options);
  table.caption = facts;
  return render(table, TableFormat::csv);
}

// The values of a CSV that begins with these facts; nothing where it does not or is cut. Names may hold commas: the numbers are what stands
// behind the last ones.
std::optional<Evaluation> read_csv(const std::filesystem::path& path, const std::string& facts, const std::vector<std::string>& metrics,
                                   const std::vector<std::string>& names) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::istringstream text(read_text_file(path));
  std::string line;
  if (!std::getline(text, line) || line != "# " + facts || !std::getline(text, line)) return std::nullopt;
  Evaluation out{.metrics = metrics, .names = names, .values = {}};
  while (std::getline(text, line)) {
    std::vector<double> row(metrics.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t m = metrics.size(); m-- > 0;) {
      const std::size_t comma = line.rfind(',');
      if (comma == std::string::npos) return std::nullopt;
      std::from_chars(line.data() + comma + 1, line.data() + line.size(), row[m]);  // an empty field is a value that is not finite
      line.resize(comma);
    }
    out.values.push_back(std::move(row));
  }
  if (out.values.size() != names.size()) return std::nullopt;
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t m = 0; m < metrics.size(); ++m)
      if (std::isnan(out.values[i][m])) out.failures.push_back(fmt::format("{}: {} could not be measured", names[i], metrics[m]));
  return out;
}

// One hash of the weights that the metrics load.
std::string weights_of(const std::vector<std::string>& metrics) {
  std::string seen;
  for (const std::string& name : metrics)
    if (!is_judged(name))
      for (const std::string& weights : find_metric(name).weights) seen += hash_of(read_file(weight_file(weights)));
  return hash_of(seen);
}

}  // namespace

std::vector<double> StudyRow::by_picture(std::size_t metric) const {
  std::vector<double> means(values.front().names.size(), 0.0);
  for (const Evaluation& seed : values)
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += seed.values[i][metric];
  for (double& mean : means) mean /= static_cast<double>(values.size());
  return means;
}

Meter::Meter(const Judge& judge, const std::vector<std::string>& metrics, const std::string& device, std::filesystem::path folder)
    : folder_(std::move(folder)),
      pipeline_({.metrics = metrics, .metric = {.device = device}, .judge = &judge}),
      weights_(fmt::format("{}, weights {}", device, weights_of(metrics))) {}

Evaluation Meter::measure(const StudySet& set, const std::string& row, const std::string& facts, const std::function<Image(int64_t)>& make,
                          int64_t keep, std::vector<Image>& pictures) const {
  std::string stem = row;
  std::ranges::replace(stem, '/', '_');
  const std::filesystem::path path = folder_ / set.name / (stem + ".csv");
  const EvaluateOptions options = this->options();
  const std::string all_facts = fmt::format("{}; {}; {}; {}; finpercep {}", facts, set.facts, variants_text(options), weights_, version);
  keep = std::min(keep, set.size());
  pictures.resize(std::max<std::size_t>(pictures.size(), keep));  // one that cannot be made stays empty
  if (auto known = read_csv(path, all_facts, options.measure.metrics, set.names); known && known->failures.empty()) {
    for (int64_t i = 0; i < keep; ++i) {
      try {
        pictures[i] = make(i);
      } catch (const Error& error) {
        if (error.code() != ExitCode::input) throw;
        log_warning(error.what());
      }
    }
    return *known;
  }
  const auto load = [&](int64_t i, const Reserve&) {
    Sample sample{make(i), set.gt(i)};
    if (i < keep) pictures[i] = sample.sr;
    return sample;
  };
  const Evaluation out = evaluate(pipeline_, set.names, load, {.alone = true}, fmt::format("{} {}", set.name, row));
  make_directory(path.parent_path());
  write_file(path, csv_of(out, options, all_facts));
  return out;
}

}  // namespace finpercep
