// SPDX-License-Identifier: Apache-2.0
// finpercep score IMAGE|DIR|GLOB|LIST.. [-r REF] [-m METRIC,..] [--json FILE|-] [--csv FILE|-] [--summary FILE|-] [--fail-under M=V]
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/score_report.h"
#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/set_score.h"
#include "finpercep/image/io.h"
#include "finpercep/nets/checkpoint.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> inputs, references, metrics, gates;
  JudgeOptions judge;
  std::string protocol = "stablesr";
  ScoreOutputs outputs;
  int crop_border = 0, threads = 0;
  bool strict = false;
};

// `judge` is opened where it is asked for.
ScoreJob make_job(const Flags& flags, std::optional<Judge>& judge) {
  ScoreJob job;
  job.metrics = flags.metrics;
  if (job.metrics.empty())
    job.metrics = flags.references.empty() ? std::vector<std::string>{"finpercep"} : std::vector<std::string>{"finpercep", "psnr", "ssim"};
  for (std::size_t i = 0; i < job.metrics.size(); ++i) refuse_twice(job.metrics, i);
  const bool judging = std::erase(job.metrics, "finpercep") > 0;
  bool references_used = false;
  for (const std::string& name : std::exchange(job.metrics, {})) {
    const MetricInfo& info = find_metric(name);
    (info.of_set ? job.set_metrics : job.metrics).push_back(name);
    references_used |= info.needs_reference && !info.of_set;
    if (info.needs_reference && flags.references.empty())
      throw usage_error(fmt::format("-m {}: expected a reference, found none. add -r REF", name));
  }
  job.metric = {.protocol = parse_protocol(flags.protocol), .crop_border = flags.crop_border, .device = flags.judge.device};
  job.threads = flags.threads;
  if (flags.inputs.empty())
    throw usage_error(flags.references.size() > 1
                          ? "input: expected pictures, found none: -r took all paths behind it. name the pictures first"
                          : "input: expected pictures, found none");
  job.pictures = list_images(flags.inputs);
  if (!job.set_metrics.empty()) job.set_references = list_images(flags.references);
  if (!flags.references.empty() && !references_used && job.set_metrics.empty())
    throw usage_error("-r: expected a metric that compares with a reference, found none. add one to -m, e.g. psnr");
  if (references_used)
    for (const Pair& pair : match_pairs(job.pictures, list_images(flags.references))) job.references.push_back(pair.second);
  if (judging) {
    job.judge = &judge.emplace(flags.judge);
    job.judge_stamp = stamp_of(*judge);
  }
  return job;
}

void run(const Flags& flags, const CLI::App& command) {
  std::optional<Judge> judge;
  const ScoreJob job = make_job(flags, judge);
  if (job.judge == nullptr) refuse_unused(command, {"--model", "--stage", "--tile", "--dtype"}, "-m finpercep");
  if (job.metrics.empty() && job.set_metrics.empty()) refuse_unused(command, {"--protocol", "--crop-border"}, "a metric beside finpercep");
  const std::vector<std::string> columns = score_columns(job);
  if (columns.empty() && !(flags.outputs.json + flags.outputs.csv).empty())
    throw usage_error(
        fmt::format("-m {}: expected a metric with a value a picture for --json and --csv, found one number a set. use --summary",
                    fmt::join(job.set_metrics, ",")));
  const std::vector<Gate> gates = parse_gates(flags.gates, job);
  std::vector<std::filesystem::path> lists = {job.judge == nullptr ? std::filesystem::path() : find_model(flags.judge.model)};
  for (const auto* words : {&flags.inputs, &flags.references})
    for (const std::string& word : *words) lists.emplace_back(word.starts_with('@') ? word.substr(1) : word);
  check_outputs(flags.outputs, job, lists);

  std::string set_failure;
  const std::vector<ColumnSummary> sets = score_sets(job, set_failure);  // first: absent weights are then known before the work on pictures
  if (flags.strict && !set_failure.empty()) throw input_error(set_failure);

  std::vector<ScoreLine> lines;
  std::string first_failure;
  int64_t failures = 0;
  ScoreNotes notes;
  if (!columns.empty()) {
    Progress progress("score", static_cast<int64_t>(job.pictures.size()));
    notes = score_pictures(job, [&](ScoreLine line) {
      if (!line.error.empty()) {
        if (job.pictures.size() > 1) log_warning(line.error);  // of one it is the error itself, below
        if (failures++ == 0) first_failure = line.error;
      }
      if (flags.outputs.json == "-") print(json_line(columns, line));  // as they come: a reader need not wait for the last
      lines.push_back(std::move(line));
      progress.advance();
      return !interrupted() && !(flags.strict && failures > 0);
    });
  }
  warn_of(notes, lines.size());

  std::vector<ColumnSummary> summary = summarise(lines, columns);
  summary.insert(summary.end(), sets.begin(), sets.end());
  report_scores(flags.outputs, job, lines, summary, failures);
  if (interrupted() && !columns.empty() && lines.size() < job.pictures.size())
    throw interrupted_error(
        fmt::format("score: interrupted after {} of {} pictures; these are written", lines.size(), job.pictures.size()));
  const std::string gate = failed_gates(gates, summary);
  if (!gate.empty() && (failures > 0 || !set_failure.empty())) log_warning(gate);  // what could not be read comes first
  if (failures > 0 && job.pictures.size() == 1) throw input_error(first_failure);
  if (failures > 0)
    throw input_error(
        fmt::format("{} of {} pictures could not be scored in full; the first: {}", failures, job.pictures.size(), first_failure));
  if (!set_failure.empty()) throw input_error(set_failure);
  if (!gate.empty()) throw Error(ExitCode::gate, gate);
}

}  // namespace

void add_score(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("score", "score pictures: FinPercep-RM and the metrics of the field, with and without references");
  auto flags = std::make_shared<Flags>();
  command->add_option("input", flags->inputs,
                      "pictures: files, folders, globs, LIST.txt or @LIST (a path a line), - (such a list on stdin)");
  command->add_option("-r,--reference", flags->references, "references, matched by file stem");
  command
      ->add_option("-m,--metrics", flags->metrics,
                   "comma separated; `finpercep metrics` lists them (default: finpercep; with -r: finpercep,psnr,ssim)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--protocol", flags->protocol, "conventions of PSNR and SSIM: pyiqa, basicsr, stablesr")->capture_default_str();
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->transform(whole_in(0, 1000));
  add_judge_flags(*command, flags->judge);
  command->add_option("--threads", flags->threads, "pictures read and measured at a time (default: one a core)")
      ->transform(whole_in(1, 1024));
  command->add_option("--json", flags->outputs.json, "one JSON object a picture, to a file or - for stdout")->check(a_path());
  command->add_option("--csv", flags->outputs.csv, "CSV, to a file or - for stdout")->check(a_path());
  command
      ->add_option("--summary", flags->outputs.summary,
                   "JSON of means, 95 % bootstrap intervals and what exactly was measured, to a file or - for stdout")
      ->check(a_path());
  command->add_option("--fail-under", flags->gates, "METRIC=VALUE: exit 5 if the mean is worse (for a metric where lower is better: above)")
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--strict", flags->strict, "stop at the first picture that cannot be scored");
  command->add_flag("--overwrite", flags->outputs.overwrite, "replace existing files");
  command->footer(
      "Examples:\n  finpercep score photo.jpg\n  finpercep score sr/ -r gt/ -m finpercep,psnry,ssim,lpips --csv scores.csv\n"
      "  find . -name '*.png' | finpercep score - --json - --fail-under finpercep=0.6");
  command->callback([flags, command] { run(*flags, *command); });
}

}  // namespace finpercep
