// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/base/text.h"
#include "finpercep/metrics/luma.h"

namespace finpercep {

namespace {

const std::vector<std::pair<std::string, Protocol>> protocols = {
    {"pyiqa", Protocol::pyiqa}, {"basicsr", Protocol::basicsr}, {"stablesr", Protocol::stablesr}};

}  // namespace

Protocol parse_protocol(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [text, protocol] : protocols) {
    if (text == name) return protocol;
    known.push_back(text);
  }
  throw usage_error(fmt::format("protocol: expected one of {}, found '{}'", fmt::join(known, ", "), name));
}

const char* name_of(Protocol protocol) {
  for (const auto& [text, value] : protocols)
    if (value == protocol) return text.c_str();
  return "";
}

const MetricInfo& find_metric(const std::string& name) {
  const std::vector<MetricInfo>& list = metric_list();
  const auto found = std::ranges::find(list, name, &MetricInfo::name);
  if (found != list.end()) return *found;
  std::vector<std::string> known;
  for (const auto& info : list) known.push_back(info.name);
  known.emplace_back("finpercep");  // which `score` and `eval` know beside these
  const std::string lower = lower_case(name);
  const std::string likely = lower == "lpips-alex" ? "lpips" : nearest(lower, known);
  const std::string advice = likely.empty() ? "" : fmt::format(". did you mean '{}'?", likely);
  throw usage_error(fmt::format("metric: expected one of {}, found '{}'{}", fmt::join(known, ", "), name, advice));
}

std::string variant_text(const std::string& metric, Protocol protocol, int crop_border) {
  return find_metric(metric).variant(protocol, crop_border);
}

void refuse_twice(const std::vector<std::string>& names, std::size_t i) {
  if (std::find(names.begin(), names.begin() + i, names[i]) != names.begin() + i)
    throw usage_error(fmt::format("metric: '{}' is given twice. name it once", names[i]));
}

MetricSet::MetricSet(std::vector<std::string> names, MetricOptions options) : names_(std::move(names)) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (find_metric(names_[i]).of_set)
      throw usage_error(fmt::format(
          "metric: expected one with a value a picture, found '{}', which is one number a set. use `finpercep score SR -r GT -m {}`",
          names_[i], names_[i]));
    refuse_twice(names_, i);
  }
  for (const auto& name : names_) metrics_.push_back(find_metric(name).make(options));
}

std::vector<double> MetricSet::compute(const Image& sr, const Image& ref) const {
  require_same_size(sr, ref, "metrics");
  std::vector<double> values;
  for (const auto& metric : metrics_) values.push_back(metric(sr, ref));
  return values;
}

}  // namespace finpercep
