// SPDX-License-Identifier: Apache-2.0
// finpercep metrics: what can be measured. finpercep doctor: whether this installation measures it right.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/metrics/calibration.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

/// The names of the files that are not there, and of those that are and cannot be read.
struct WeightFaults {
  std::vector<std::string> missing, damaged;
};

WeightFaults faults_of(const MetricInfo& metric) {
  WeightFaults faults;
  for (const std::string& name : metric.weights) {
    std::vector<std::string>* fault = &faults.missing;
    try {
      const auto path = weight_file(name);
      fault = &faults.damaged;
      read_safetensors(path, Checksum::if_present);
    } catch (const Error&) {
      fault->push_back(name);
    }
  }
  return faults;
}

std::string state_of_weights(const MetricInfo& metric) {
  const auto [missing, damaged] = faults_of(metric);
  if (!damaged.empty()) return fmt::format("damaged: {}", fmt::join(damaged, ", "));
  if (!missing.empty()) return fmt::format("missing: {}", fmt::join(missing, ", "));
  return metric.weights.empty() ? "none needed" : "present";
}

void list_metrics(Protocol protocol) {
  Table table;
  for (const char* title : {"name", "better", "range", "needs", "weights", "what", "as computed here"})
    table.columns.push_back({title, std::nullopt, 0});
  table.rows.push_back({"finpercep", "higher", "0..1", "picture", "none needed",
                        "FinPercep-RM: score, severity (mean of the map's worst fifth), map_max, map_mean (of the map lower is better)",
                        "shipped model"});
  for (const MetricInfo& metric : metric_list())
    table.rows.push_back({metric.name, metric.higher_is_better ? "higher" : "lower", metric.range,
                          metric.of_set            ? "two sets"
                          : metric.needs_reference ? "reference"
                                                   : "picture",
                          state_of_weights(metric), metric.definition, variant_text(metric.name, protocol)});
  table.caption = fmt::format("protocol {}; missing or damaged weights: `finpercep weights` says how to get each", name_of(protocol));
  print(render(table, TableFormat::text));
}

// One row of the table, or why there is none.
struct Checked {
  double found = 0;
  std::string problem;
  bool damaged = false;
};

// Opened once for all pictures.
using OpenMetrics = std::map<std::pair<std::string, Protocol>, MetricSet>;

Checked check(const CalibrationRow& row, const Image& reference, const std::string& device, OpenMetrics& open) {
  try {
    const std::pair key(row.metric, row.protocol);
    if (!open.contains(key)) open.emplace(key, MetricSet({row.metric}, {.protocol = row.protocol, .device = device, .threads = 0}));
    return {open.at(key).compute(calibration_picture(row.picture), reference)[0], ""};
  } catch (const Error& error) {
    if (error.code() != ExitCode::model) throw;
    const auto [missing, damaged] = faults_of(find_metric(row.metric));
    if (missing.empty() && damaged.empty()) throw;
    return {0, damaged.empty() ? "weights missing" : "weights damaged", !damaged.empty()};
  }
}

void examine(const std::string& device) {
  const at::Device where = resolve_compute(device, "fp32").device;
  const Image reference = calibration_reference();
  Table table;
  for (const char* title : {"metric", "protocol", "picture"}) table.columns.push_back({title, std::nullopt, 0});
  for (const char* title : {"expected", "found"}) table.columns.push_back({title, std::nullopt, 6});
  table.columns.push_back({"deviation", std::nullopt, 0});
  table.columns.push_back({"tolerance", std::nullopt, 4});
  table.columns.push_back({"verdict", std::nullopt, 0});
  OpenMetrics open;
  int over = 0, skipped = 0, damaged = 0;
  for (const CalibrationRow& row : calibration_table()) {
    const Checked checked = check(row, reference, device, open);
    if (!checked.problem.empty()) {
      ++(checked.damaged ? damaged : skipped);
      table.rows.push_back({row.metric, name_of(row.protocol), row.picture, row.expected, {}, {}, row.tolerance(), checked.problem});
      continue;
    }
    const double deviation = std::abs(checked.found - row.expected);
    const bool good = deviation <= row.tolerance();
    over += !good;
    table.rows.push_back({row.metric, name_of(row.protocol), row.picture, row.expected, checked.found, fmt::format("{:.1e}", deviation),
                          row.tolerance(), good ? "ok" : "OVER"});
  }
  table.caption = fmt::format(
      "finpercep {}, {} threads, nets on {}; expected: a second implementation (tests/parity/plain_metrics.py), tolerance: less than the "
      "protocols differ by; {} of {} "
      "within it, {} without weights (`python3 tools/fetch_weights.py`)",
      version, default_threads(), where.str(), table.rows.size() - over - skipped - damaged, table.rows.size(), skipped);
  print(render(table, TableFormat::text));
  if (damaged > 0)
    throw Error(ExitCode::gate, fmt::format("doctor: expected whole files of weights, found damaged ones for {} values. "
                                            "`finpercep weights` names them, `python3 tools/fetch_weights.py` replaces them",
                                            damaged));
  if (over > 0)
    throw Error(
        ExitCode::gate,
        fmt::format("doctor: expected every value within its tolerance, found {} over it. this build measures something else; report it",
                    over));
}

}  // namespace

void add_metrics(CLI::App& program) {
  CLI::App* command = program.add_subcommand("metrics", "list the metrics: direction, range, what they need, how a protocol computes them");
  auto protocol = std::make_shared<std::string>("stablesr");
  command->add_option("--protocol", *protocol, "pyiqa, basicsr, stablesr")->capture_default_str();
  command->callback([protocol] { list_metrics(parse_protocol(*protocol)); });
}

void add_doctor(CLI::App& program) {
  CLI::App* command = program.add_subcommand("doctor", "check the metrics of this installation against known values; exit 5 if one is off");
  auto device = std::make_shared<std::string>("auto");
  command->add_option("--device", *device, "cpu, cuda, cuda:N, auto")->capture_default_str();
  command->callback([device] { examine(*device); });
}

}  // namespace finpercep
