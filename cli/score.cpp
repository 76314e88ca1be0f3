// SPDX-License-Identifier: Apache-2.0
// finpercep score IMAGE|DIR|GLOB|@LIST.. [-r REF] [-m finpercep,psnr,..] [--json FILE|-] [--csv FILE|-] [--fail-under m=v]
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/image/io.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> inputs, references, metrics, gates;
  JudgeOptions judge;
  std::string protocol = "stablesr", json, csv;
  int crop_border = 0;
  bool overwrite = false;
};

struct Gate {
  std::string metric;
  double least = 0;
};

Gate parse_gate(const std::string& text, const std::vector<std::string>& columns) {
  const auto equals = text.find('=');
  Gate gate{text.substr(0, equals), 0};
  const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), gate.least);
  if (error != std::errc() || end != number.data() + number.size()) throw usage_error(fmt::format("--fail-under: expected METRIC=NUMBER, found '{}'", text));
  if (gate.metric == "finpercep") gate.metric = "finpercep.score";
  if (std::find(columns.begin(), columns.end(), gate.metric) == columns.end())
    throw usage_error(fmt::format("--fail-under: '{}' is not computed. add it to -m", gate.metric));
  return gate;
}

void write_output(const std::string& file, const std::string& text, bool overwrite) {
  if (file == "-") return print(text);
  refuse_overwrite(file, overwrite);
  write_file(file, text);
}

bool is_lower_better(const std::string& column) {
  if (column.starts_with("finpercep.")) return column != "finpercep.score";
  return !find_metric(column).higher_is_better;
}

void run(const Flags& flags) {
  std::vector<std::string> metrics = flags.metrics;
  if (metrics.empty()) metrics = {"finpercep"};
  const bool judging = std::erase(metrics, "finpercep") > 0;
  std::vector<std::string> columns;
  if (judging) columns = {"finpercep.score", "finpercep.map_max", "finpercep.map_mean"};
  for (const std::string& name : metrics) {
    if (find_metric(name).needs_reference && flags.references.empty()) throw usage_error(fmt::format("-m {}: expected a reference, found none. add -r REF", name));
    columns.push_back(name);
  }
  std::vector<Gate> gates;
  for (const std::string& text : flags.gates) gates.push_back(parse_gate(text, columns));

  const auto inputs = list_images(flags.inputs);
  std::vector<Pair> pairs;
  if (!flags.references.empty()) pairs = match_pairs(inputs, list_images(flags.references));
  std::optional<Judge> judge;
  if (judging) judge.emplace(flags.judge);
  std::optional<MetricSet> set;
  if (!metrics.empty()) set.emplace(metrics, MetricOptions{.protocol = parse_protocol(flags.protocol), .crop_border = flags.crop_border, .device = flags.judge.device, .threads = 0});

  std::vector<ScoreLine> lines;
  std::map<std::string, std::pair<double, int64_t>> sums;
  int64_t failures = 0;
  std::string first_failure;
  Progress progress("score", static_cast<int64_t>(inputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    try {  // one bad file does not lose the others
      const Image photo = read_image(inputs[i]);
      ScoreLine line{inputs[i].string(), {}};
      if (judge) {
        const Verdict verdict = (*judge)(photo);
        line.values = {{"finpercep.score", verdict.score}, {"finpercep.map_max", verdict.map_max}, {"finpercep.map_mean", verdict.map_mean}};
      }
      if (set) {
        const Image reference = read_image(pairs[i].second);
        if (photo.width != reference.width || photo.height != reference.height)
          throw input_error(fmt::format("pair: {} and {}: expected equal sizes, found {} x {} and {} x {}", inputs[i].string(), pairs[i].second.string(), photo.width,
                                        photo.height, reference.width, reference.height));
        const std::vector<double> values = set->compute(photo, reference);
        for (std::size_t m = 0; m < values.size(); ++m) line.values.emplace_back(metrics[m], values[m]);
      }
      for (const auto& [name, value] : line.values) {
        sums[name].first += *value;
        ++sums[name].second;
      }
      lines.push_back(std::move(line));
    } catch (const Error& error) {
      if (inputs.size() == 1) throw;
      log_warning(error.what());
      if (failures++ == 0) first_failure = error.what();
    }
    progress.advance();
  }

  std::string json;
  for (const ScoreLine& line : lines) json += json_line(line);
  if (!flags.json.empty()) write_output(flags.json, json, flags.overwrite);
  if (!flags.csv.empty()) write_output(flags.csv, render(score_table(lines), TableFormat::csv), flags.overwrite);
  if (flags.json.empty() && flags.csv.empty()) {
    ScoreLine mean{"mean", {}};
    for (const std::string& name : columns)
      if (sums[name].second > 0) mean.values.emplace_back(name, sums[name].first / static_cast<double>(sums[name].second));
    if (lines.size() > 1) lines.push_back(mean);
    print(render(score_table(lines), TableFormat::text));
  }
  if (failures > 0) throw input_error(fmt::format("{} of {} pictures could not be scored; the first: {}", failures, inputs.size(), first_failure));
  for (const Gate& gate : gates) {
    const double value = sums[gate.metric].first / static_cast<double>(sums[gate.metric].second);
    if (is_lower_better(gate.metric) ? value > gate.least : value < gate.least)
      throw Error(ExitCode::gate, fmt::format("gate: {}: expected {} {}, found {:.6g}", gate.metric, is_lower_better(gate.metric) ? "at most" : "at least", gate.least, value));
  }
}

}  // namespace

void add_judge_flags(CLI::App& command, JudgeOptions& options) {
  command.add_option("--model", options.model, "reward model: name or file")->capture_default_str();
  command.add_option("--stage", options.stage, "judge with RM_k of the model; default: its finest");
  command.add_option("--device", options.device, "cpu, cuda, cuda:N, auto")->capture_default_str();
  command.add_option("--dtype", options.dtype, "fp32, bf16, auto")->capture_default_str();
  command.add_option("--tile", options.tile, "side of a tile in pixels; larger pictures are judged in overlapping tiles")->capture_default_str()->check(CLI::Range(64, 65536));
}

void add_score(CLI::App& program) {
  CLI::App* command = program.add_subcommand("score", "score pictures: FinPercep-RM and full-reference metrics");
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs, "pictures: files, folders, globs, @LIST")->required();
  command->add_option("-r,--reference", flags->references, "references, matched by file stem");
  command->add_option("-m,--metrics", flags->metrics, "comma separated; `finpercep metrics` lists them (default: finpercep)")->delimiter(',');
  command->add_option("--protocol", flags->protocol, "conventions of PSNR and SSIM: pyiqa, basicsr, stablesr")->capture_default_str();
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->check(CLI::Range(0, 1000));
  add_judge_flags(*command, flags->judge);
  command->add_option("--json", flags->json, "one JSON object a picture, to a file or - for stdout");
  command->add_option("--csv", flags->csv, "CSV, to a file or - for stdout");
  command->add_option("--fail-under", flags->gates, "METRIC=VALUE: exit 5 if the mean is worse (for a metric where lower is better: above)")->take_all();
  command->add_flag("--overwrite", flags->overwrite, "replace existing files");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
