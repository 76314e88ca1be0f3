// SPDX-License-Identifier: Apache-2.0
// finpercep eval --set NAME=LQ:GT[:[ROW=]SR].. [-g [ROW=]GENERATOR..] [-m ..] [--baseline ROW] [--table text|md|csv|tex] [-o DIR]
// finpercep eval --map FGR_DIR.. | --response PHOTOS.. [--model ..]: eval_reward.cpp
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/eval_reward.h"
#include "cli/eval_tables.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/evaluate/rows.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> sets, generators, metrics = {"psnry", "ssim", "lpips"};
  std::string baseline;
  RewardQuestions reward;
  EvalOutputs outputs;
  std::string protocol = "stablesr", device = "auto", dtype = "auto";
  int crop_border = 0, resamples = 10'000;
  uint64_t seed = 0;
};

// The reward's verdicts are the same on every machine unless another type is asked for; as in `score`.
std::string judge_dtype(const Flags& flags) { return flags.dtype == "auto" ? "fp32" : flags.dtype; }

void ask_reward(const Flags& flags, const std::function<const Judge&()>& judge_of) {
  RewardQuestions questions = flags.reward;
  questions.device = flags.device;
  questions.dtype = judge_dtype(flags);
  questions.resamples = flags.resamples;
  questions.seed = flags.seed;
  if (!flags.generators.empty()) questions.generators.clear();
  for (const std::string& text : flags.generators) questions.generators.push_back(parse_named(text, "-g").what);
  answer_reward_questions(questions, judge_of,
                          [&](const std::string& stem, const Table& table) { show_table(stem, stem, table, flags.outputs); });
}

// Measures and shows one set; returns what could not be measured.
std::vector<std::string> measure_set(const TestSetRows& of, const Pipeline& pipeline, const Generators& generators, const Compute& compute,
                                     const Flags& flags) {
  const EvaluateOptions options{.measure = pipeline.options(), .bootstrap = {.resamples = flags.resamples}};
  std::vector<std::string> failures;
  MethodResults methods;
  for (const TestRow& row : of.rows) {
    methods.emplace_back(row.name, evaluate_row(pipeline, row, generators, flags.seed, fmt::format("{} {}", of.set.name, row.name)));
    const Evaluation& evaluation = methods.back().second;
    failures.insert(failures.end(), evaluation.failures.begin(), evaluation.failures.end());
    if (flags.outputs.folder.empty()) continue;
    Table pictures = per_image_table(evaluation, options);
    if (!row.generator.empty()) {
      const std::string hash = weights_hash(row.generator);
      pictures.caption += fmt::format("; pictures of {}", row.generator);
      if (!hash.empty()) pictures.caption += fmt::format(" {}, seed {}, {}", hash, flags.seed, dtype_name(compute));  // bicubic has none
    }
    write_file(csv_of(of, row.name, flags.outputs), render(pictures, TableFormat::csv));
  }
  show_table(of.set.name, fmt::format("{} ({} pictures)", of.set.name, methods[0].second.names.size()), comparison_table(methods, options),
             flags.outputs);
  if (!flags.baseline.empty())
    show_table(difference_of(of.set), fmt::format("{}: difference to {}", of.set.name, flags.baseline),
               difference_table(methods, flags.baseline, options), flags.outputs);
  return failures;
}

void run(const Flags& flags, const CLI::App& command) {
  if (flags.sets.empty() && flags.reward.empty())
    throw usage_error("eval: expected --set NAME=LQ:GT, --map FGR_DIR or --response PHOTOS, found none of them");
  if (flags.sets.empty() && flags.reward.photos.empty() && !flags.generators.empty())
    throw usage_error("-g: expected --set or --response, whose pictures it restores, found neither. leave it out");
  if (flags.sets.empty()) refuse_unused(command, {"--metrics", "--protocol", "--crop-border"}, "--set");
  if (flags.reward.empty()) refuse_unused(command, {"--samples"}, "--map or --response");
  parse_table_format(flags.outputs.format);
  PipelineOptions measure;
  measure.metric = {.protocol = parse_protocol(flags.protocol), .crop_border = flags.crop_border, .device = flags.device};
  std::optional<Judge> judge;  // one for the columns and the questions
  const auto judge_of = [&]() -> const Judge& {
    if (!judge)
      judge.emplace(
          JudgeOptions{.model = flags.reward.model, .stage = flags.reward.stage, .device = flags.device, .dtype = judge_dtype(flags)});
    return *judge;
  };
  measure.metrics = expand_metrics(flags.metrics, judge_of);
  const bool judged = std::ranges::any_of(measure.metrics, is_judged);
  if (!judged && flags.reward.empty()) refuse_unused(command, {"--model", "--stage"}, "-m finpercep, --map or --response");
  if (judged) measure.judge = &judge_of();
  const Pipeline pipeline(std::move(measure));
  if (!flags.baseline.empty() && flags.sets.empty())
    throw usage_error("--baseline: expected a --set whose rows are compared, found none. did you mean --baselines?");
  std::vector<TestSetRows> sets;  // what does not fit in one set is said before the work on the others
  for (const std::string& text : flags.sets) {
    const TestSet set = parse_test_set(text, "--set");
    check_references(set, pipeline.options().metrics);
    sets.push_back(rows_of(set, flags.generators));
  }
  check_tables(sets, flags.baseline, reward_tables(flags.reward), flags.outputs);
  const Compute compute = resolve_compute(flags.device, flags.dtype);
  const Generators generators = open_generators(sets, compute);  // what cannot be had is said now
  if (!flags.outputs.folder.empty()) make_directory(flags.outputs.folder);
  if (!flags.reward.empty()) ask_reward(flags, judge_of);

  std::vector<std::string> failures;
  for (const TestSetRows& of : sets)
    for (std::string& failure : measure_set(of, pipeline, generators, compute, flags)) failures.push_back(std::move(failure));
  if (!failures.empty())
    throw input_error(fmt::format("eval: {} pictures could not be measured in full and are missing from some means, the first: {}",
                                  failures.size(), failures.front()));
}

}  // namespace

void add_eval(CLI::App& program) {
  CLI::App* command = program.add_subcommand("eval", "measure generators on test sets: per picture, mean, bootstrap interval");
  auto flags = std::make_shared<Flags>();
  command
      ->add_option("--set", flags->sets,
                   "NAME=LQ:GT, folders matched by stem, then :SR or :ROW=SR for each folder of pictures made of LQ; GT may be empty")
      ->take_all();
  add_reward_flags(*command, flags->reward);
  command
      ->add_option("-g,--generator", flags->generators,
                   "names of `finpercep models`, NAME@STEPS, checkpoint or TorchScript files, bicubic; ROW=.. names the row")
      ->take_all();
  command
      ->add_option("-m,--metrics", flags->metrics,
                   "comma separated; `finpercep metrics` lists them; finpercep: score and worst severity by --model")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str(fmt::format("{}", fmt::join(flags->metrics, ",")));
  command->add_option("--protocol", flags->protocol, "pyiqa, basicsr, stablesr")->capture_default_str();
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->transform(whole_in(0, 1000));
  command->add_option("--baseline", flags->baseline, "row that the others are compared with, picture by picture (Wilcoxon's p)");
  command->add_option("--bootstrap", flags->resamples, "resamples of the 95 % interval")
      ->capture_default_str()
      ->transform(whole_in(1, 1000000));
  command->add_option("--table", flags->outputs.format, "text, md, csv, tex")->capture_default_str();
  add_seed_flag(*command, flags->seed, "noise of the generators");
  command
      ->add_option("-o,--output", flags->outputs.folder, "folder for the tables, as --table says (text: md), and a CSV with every picture")
      ->check(a_path());
  add_compute_flags(*command, flags->device, flags->dtype);
  command->add_flag("--overwrite", flags->outputs.overwrite, "replace existing files");
  command->callback([flags, command] { run(*flags, *command); });
}

}  // namespace finpercep
