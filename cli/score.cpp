// SPDX-License-Identifier: Apache-2.0
// finpercep score IMAGE|DIR|GLOB|LIST.. [-r REF] [-m finpercep,psnr,..] [--json FILE|-] [--csv FILE|-] [--summary FILE|-] [--fail-under
// m=v]
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "cli/command.h"
#include "cli/score_report.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/set_score.h"
#include "finpercep/image/io.h"
#include "finpercep/metrics/fid.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> inputs, references, metrics, gates;
  JudgeOptions judge;
  std::string protocol = "stablesr";
  ScoreOutputs outputs;
  int crop_border = 0, threads = 0;
  bool overwrite = false, strict = false;
};

/// Before any work: at most one output on stdout, no output over an input, nothing replaced unasked.
void check_outputs(const Flags& flags, const ScoreJob& job) {
  const ScoreOutputs& out = flags.outputs;
  if ((out.json == "-") + (out.csv == "-") + (out.summary == "-") > 1)
    throw usage_error("stdout: expected one of --json -, --csv -, --summary -, found several. give files");
  std::set<std::filesystem::path> files;
  std::error_code ignored;
  for (const std::string& file : {out.json, out.csv, out.summary}) {
    if (file.empty() || file == "-") continue;
    if (!files.insert(std::filesystem::weakly_canonical(file, ignored)).second)
      throw usage_error(fmt::format("output: {}: expected a file for each of --json, --csv and --summary, found it twice", file));
    for (const auto* list : {&job.pictures, &job.references, &job.set_references})
      for (const auto& path : *list) {
        if (std::filesystem::equivalent(path, file, ignored))
          throw usage_error(fmt::format("output: {}: expected another file than the inputs. choose another name", file));
      }
    check_output_file(file, flags.overwrite);
  }
}

// `judge` is opened where it is asked for.
ScoreJob make_job(const Flags& flags, std::optional<Judge>& judge) {
  ScoreJob job;
  job.metrics = flags.metrics;
  if (job.metrics.empty())
    job.metrics = flags.references.empty() ? std::vector<std::string>{"finpercep"} : std::vector<std::string>{"finpercep", "psnr", "ssim"};
  const bool judging = std::erase(job.metrics, "finpercep") > 0;
  bool references_used = false;
  for (const std::string& name : std::exchange(job.metrics, {})) {
    const MetricInfo& info = find_metric(name);
    if (info.of_set && std::find(job.set_metrics.begin(), job.set_metrics.end(), name) != job.set_metrics.end())
      throw usage_error(fmt::format("metric: '{}' is given twice. name it once", name));
    (info.of_set ? job.set_metrics : job.metrics).push_back(name);
    const bool needed = info.needs_reference;
    references_used |= needed && !info.of_set;
    if (needed && flags.references.empty()) throw usage_error(fmt::format("-m {}: expected a reference, found none. add -r REF", name));
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

/// A set that cannot be read loses nothing else: it is a warning here and the message in `failure`.
std::vector<ColumnSummary> score_sets(const ScoreJob& job, std::string& failure) {
  std::vector<ColumnSummary> summary;
  for (const std::string& name : job.set_metrics) {
    try {
      Progress progress(name, static_cast<int64_t>(job.pictures.size() + job.set_references.size()));
      summary.push_back(score_set(job, name, [&] {
        stop_if_interrupted(name + " was not finished");
        progress.advance();
      }));
      const ColumnSummary& made = summary.back();
      if (std::min(made.count, made.references) < fid_full_rank)
        log_warning(
            fmt::format("{}: expected at least {} pictures a set, found {} and {}: the covariances are singular and the value is biased by "
                        "the counts. compare it only "
                        "with sets of these sizes",
                        name, fid_full_rank, made.count, made.references));
    } catch (const Error& error) {
      if (error.code() != ExitCode::input || score_columns(job).empty()) throw;
      log_warning(error.what());
      if (failure.empty()) failure = error.what();
    }
  }
  return summary;
}

void run(const Flags& flags) {
  std::optional<Judge> judge;
  const ScoreJob job = make_job(flags, judge);
  const std::vector<std::string> columns = score_columns(job);
  if (columns.empty() && !(flags.outputs.json + flags.outputs.csv).empty())
    throw usage_error(
        fmt::format("-m {}: expected a metric with a value a picture for --json and --csv, found one number a set. use --summary",
                    fmt::join(job.set_metrics, ",")));
  std::vector<std::string> gated = columns;
  gated.insert(gated.end(), job.set_metrics.begin(), job.set_metrics.end());
  std::vector<Gate> gates;
  for (const std::string& text : flags.gates) gates.push_back(parse_gate(text, gated));
  check_outputs(flags, job);

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
  if (notes.with_alpha > 0)
    log_warning(fmt::format("alpha: {} of {} pictures have an alpha channel, which is dropped; the first: {}", notes.with_alpha,
                            lines.size(), notes.first_alpha));
  if (notes.of_mixed_depth > 0)
    log_warning(fmt::format("depth: {} of {} pairs have different bits a sample and are compared as values in [0,1]; the first: {}",
                            notes.of_mixed_depth, lines.size(), notes.first_mixed));

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
    throw input_error(fmt::format("{} of {} pictures could not be scored; the first: {}", failures, lines.size(), first_failure));
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
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->check(CLI::Range(0, 1000));
  add_judge_flags(*command, flags->judge);
  command->add_option("--threads", flags->threads, "pictures read and measured at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--json", flags->outputs.json, "one JSON object a picture, to a file or - for stdout");
  command->add_option("--csv", flags->outputs.csv, "CSV, to a file or - for stdout");
  command->add_option("--summary", flags->outputs.summary,
                      "JSON of means, 95 % bootstrap intervals and what exactly was measured, to a file or - for stdout");
  command->add_option("--fail-under", flags->gates, "METRIC=VALUE: exit 5 if the mean is worse (for a metric where lower is better: above)")
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--strict", flags->strict, "stop at the first picture that cannot be scored");
  command->add_flag("--overwrite", flags->overwrite, "replace existing files");
  command->footer(
      "Examples:\n  finpercep score photo.jpg\n  finpercep score sr/ -r gt/ -m finpercep,psnry,ssim,lpips --csv scores.csv\n"
      "  find . -name '*.png' | finpercep score - --json - --fail-under finpercep=0.6");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
