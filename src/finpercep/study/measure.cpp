// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/measure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/image/tensor.h"
#include "finpercep/rl/reward_signal.h"

namespace finpercep {

namespace {

const std::string score_name = "finpercep.score", severity_name = "finpercep.severity";

bool is_judged(const std::string& metric) { return metric == score_name || metric == severity_name; }

std::string csv_of(const Evaluation& evaluation, const std::string& facts) {
  Table table{.columns = {{"name", std::nullopt, 0}}, .rows = {}, .caption = facts};
  for (const std::string& metric : evaluation.metrics) table.columns.push_back({metric, std::nullopt, 4});
  for (std::size_t i = 0; i < evaluation.names.size(); ++i) {
    std::vector<Cell> row = {evaluation.names[i]};
    for (const double value : evaluation.values[i]) row.emplace_back(value);
    table.rows.push_back(std::move(row));
  }
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
  Evaluation out{.metrics = metrics, .names = names, .values = {}, .summary = {}};
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
  return out.values.size() == names.size() ? std::optional(out) : std::nullopt;
}

}  // namespace

std::vector<double> StudyRow::by_picture(std::size_t metric) const {
  std::vector<double> means(values.front().names.size(), 0.0);
  for (const Evaluation& seed : values)
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += seed.values[i][metric];
  for (double& mean : means) mean /= static_cast<double>(values.size());
  return means;
}

Column study_column(const std::string& metric) {
  Column column = metric_column(metric);
  if (metric == score_name) column.title = "S";
  if (metric == severity_name) column.title = "severity";
  return column;
}

Meter::Meter(const StudySettings& study, const std::vector<std::string>& metrics, std::filesystem::path folder)
    : folder_(std::move(folder)), metrics_(metrics), judge_name_(study.judge), judge_({.model = study.judge, .device = study.rl.device}) {
  options_.metrics.clear();
  for (const std::string& metric : metrics_)
    if (!is_judged(metric)) options_.metrics.push_back(metric);
  judging_ = options_.metrics.size() < metrics_.size();
  options_.metric.device = study.rl.device;
  options_.metric.threads = 0;
  options_.threads = 1;                                      // the generator uses all cores itself
  const MetricSet known(options_.metrics, options_.metric);  // what is wrong with them is said now, not after the training
}

std::string Meter::variants() const {
  std::vector<std::string> texts;
  for (const std::string& metric : options_.metrics)
    texts.push_back(fmt::format("{}: {}", metric, variant_text(metric, options_.metric.protocol, options_.metric.crop_border)));
  if (judging_)
    texts.push_back(
        fmt::format("S: score of {}, 1 is clean; severity: mean of its defect map over the worst {:g} % of a picture's pixels, 0 is clean",
                    judge_name_, 100 * severity_share));
  return fmt::format("{}", fmt::join(texts, "; "));
}

Evaluation Meter::measure(const StudySet& set, const std::string& row, const std::string& facts, const std::function<Image(int64_t)>& make,
                          int64_t keep, std::vector<Image>& pictures) const {
  std::string stem = row;
  std::ranges::replace(stem, '/', '_');
  const std::filesystem::path path = folder_ / set.name / (stem + ".csv");
  const std::string all_facts =
      fmt::format("{}; {}; {}{}", facts, set.facts, variants(), judging_ ? "; judge " + model_facts(judge_name_) : "");
  keep = std::min(keep, set.size());
  if (auto known = read_csv(path, all_facts, metrics_, set.names)) {
    for (int64_t i = 0; i < keep; ++i) pictures.push_back(make(i));
    return *known;
  }
  std::vector<std::pair<double, double>> judged(set.names.size());  // S, severity
  const auto load = [&](int64_t i) {
    Sample sample{make(i), set.gt(i)};
    if (judging_) {
      const Verdict verdict = judge_(sample.sr);
      judged[i] = {verdict.score, pool_map(to_tensor(verdict.map), {.pool = "top", .top_share = severity_share}).item<double>()};
    }
    if (i < keep) pictures.push_back(sample.sr);
    return sample;
  };
  EvaluateOptions options = options_;
  options.progress = fmt::format("{} {}", set.name, row);
  const Evaluation computed = evaluate(set.names, load, options);
  Evaluation out{.metrics = metrics_, .names = set.names, .values = {}, .summary = {}};
  for (std::size_t i = 0; i < set.names.size(); ++i) {
    std::size_t next = 0;
    std::vector<double> values;
    for (const std::string& metric : metrics_)
      values.push_back(metric == score_name ? judged[i].first : metric == severity_name ? judged[i].second : computed.values[i][next++]);
    out.values.push_back(std::move(values));
  }
  make_directory(path.parent_path());
  write_file(path, csv_of(out, all_facts));
  return out;
}

}  // namespace finpercep
