// SPDX-License-Identifier: Apache-2.0
// finpercep eval --set NAME=LQ:GT[:[ROW=]SR].. [-g [ROW=]GENERATOR..] [-m ..] [--baseline ROW] [--table text|md|csv|tex] [-o DIR]
// finpercep eval --map FGR_DIR.. | --response PHOTOS.. [--model ..]: eval_reward.cpp
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/eval_reward.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/evaluate/evaluate.h"
#include "finpercep/evaluate/test_set.h"
#include "finpercep/generate/generator.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/judge.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> sets, generators, metrics = {"psnry", "ssim", "lpips"};
  std::string baseline;
  RewardQuestions reward;
  std::string protocol = "stablesr", format = "text", output, device = "auto", dtype = "auto";
  int crop_border = 0, resamples = 10'000;
  uint64_t seed = 0;
  bool overwrite = false;
};

// A row of a set's table: pictures that another program made, or a generator that makes them.
struct Row {
  std::string name;
  std::string generator;    // "": `pairs` are made
  std::vector<Pair> pairs;  // of SR or LR pictures and references; where the set has none, `second` is empty
};

struct SetRows {
  TestSet set;
  std::vector<Row> rows;
};

SetRows rows_of(const TestSet& set, const std::vector<std::string>& generators) {
  if (set.made.empty() && generators.empty())
    throw usage_error(fmt::format("eval: set {}: expected SR pictures (NAME=LQ:GT:SR) or a generator (-g), found neither", set.name));
  if (set.lq.empty() && !generators.empty())
    throw usage_error(fmt::format("eval: set {}: expected LR pictures for the generators (NAME=LQ:GT), found none", set.name));
  SetRows out{set, {}};
  // A single file may have another stem than its reference: the reference's names the picture in every row.
  const auto paired = [&](const std::string& folder, const std::string& role) {
    const auto pictures = list_images({folder});
    std::vector<Pair> pairs = match_pairs(pictures, set.gt.empty() ? pictures : list_images({set.gt}), role);
    for (Pair& pair : pairs) {
      pair.name = pair.second.stem().string();
      if (set.gt.empty()) pair.second.clear();
    }
    return pairs;
  };
  if (generators.empty() && !set.lq.empty()) paired(set.lq, "LR picture");  // not read here, but a wrong folder is a wrong set
  for (const Named& made : set.made) out.rows.push_back({made.name, "", paired(made.what, "picture")});
  for (const std::string& text : generators) {
    const Named generator = parse_named(text, "-g");
    out.rows.push_back({generator.name, generator.what, paired(set.lq, "LR picture")});
  }
  return out;
}

// A row is called by the stem of its name, or by the whole of it where two have one stem: every run's checkpoint is generator.safetensors.
std::filesystem::path csv_of(const SetRows& of, const std::string& row, const Flags& flags) {
  const auto stem = [](const std::string& name) { return std::filesystem::path(folder_name(name)).stem().string(); };
  std::string name = stem(row);
  if (std::ranges::count(of.rows, name, [&](const Row& other) { return stem(other.name); }) > 1) {
    name = row;
    std::ranges::replace(name, '/', '_');
  }
  return std::filesystem::path(flags.output) / fmt::format("{}-{}.csv", of.set.name, name);
}

// Of a set or of a question about a reward.
std::filesystem::path table_of(const std::string& stem, const Flags& flags) {
  const TableFormat format = parse_table_format(flags.format);
  return std::filesystem::path(flags.output) / (stem + (format == TableFormat::csv     ? ".csv"
                                                        : format == TableFormat::latex ? ".tex"
                                                                                       : ".md"));
}

std::string difference_of(const TestSet& set) { return set.name + "-difference"; }

// Before any work.
void check_outputs(const std::vector<SetRows>& sets, const Flags& flags) {
  std::vector<std::filesystem::path> written;
  for (const std::string& stem : reward_tables(flags.reward)) written.push_back(table_of(stem, flags));
  for (const SetRows& of : sets) {
    std::set<std::string> names;
    for (const Row& row : of.rows)
      if (!names.insert(row.name).second)
        throw usage_error(
            fmt::format("eval: set {}: expected every row once, found '{}' twice. give one another name, OTHER=..", of.set.name, row.name));
    if (!flags.baseline.empty() && !names.contains(flags.baseline))
      throw usage_error(fmt::format("--baseline: expected one of {}, found '{}'", fmt::join(names, ", "), flags.baseline));
    written.push_back(table_of(of.set.name, flags));
    if (!flags.baseline.empty()) written.push_back(table_of(difference_of(of.set), flags));
    for (const Row& row : of.rows) written.push_back(csv_of(of, row.name, flags));
  }
  if (flags.output.empty()) return;
  std::set<std::filesystem::path> files;
  for (const auto& file : written) {
    if (!files.insert(file).second)
      throw usage_error(fmt::format("eval: expected every set and row once, found two that would be written to {}", file.string()));
    refuse_overwrite(file, flags.overwrite);
  }
}

// A table with its title, which is a remark where programs read it.
void print_table(const std::string& title, const Table& table, TableFormat format) {
  const std::string head = format == TableFormat::markdown ? "### " + title + "\n"
                           : format == TableFormat::csv    ? "# " + title
                           : format == TableFormat::latex  ? "% " + title
                                                           : title;
  print(fmt::format("{}\n{}{}", head, render(table, format), format == TableFormat::markdown ? "\n" : ""));
}

// To stdout and, with -o, to a file.
void show(const std::string& stem, const std::string& title, const Table& table, const Flags& flags) {
  const TableFormat format = parse_table_format(flags.format);
  print_table(title, table, format);
  if (format != TableFormat::markdown) print("\n");
  if (!flags.output.empty()) write_file(table_of(stem, flags), render(table, format == TableFormat::text ? TableFormat::markdown : format));
}

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
  answer_reward_questions(questions, judge_of, [&](const std::string& stem, const Table& table) { show(stem, stem, table, flags); });
}

void run(const Flags& flags) {
  if (flags.sets.empty() && flags.reward.empty())
    throw usage_error("eval: expected --set NAME=LQ:GT, --map FGR_DIR or --response PHOTOS, found none of them");
  parse_table_format(flags.format);
  EvaluateOptions options;
  options.measure.metrics.clear();
  options.bootstrap.resamples = flags.resamples;
  options.measure.metric.protocol = parse_protocol(flags.protocol);
  options.measure.metric.crop_border = flags.crop_border;
  options.measure.metric.device = flags.device;
  std::optional<Judge> judge;
  const auto judge_of = [&]() -> const Judge& {
    if (!judge)
      judge.emplace(
          JudgeOptions{.model = flags.reward.model, .stage = flags.reward.stage, .device = flags.device, .dtype = judge_dtype(flags)});
    return *judge;
  };
  for (const std::string& metric : flags.metrics) {
    const bool both = metric == "finpercep";  // of RM_0, which has no map, the score
    options.measure.metrics.push_back(both ? score_metric : metric);
    if (both && judge_of().stage() > 0) options.measure.metrics.emplace_back(severity_metric);
  }
  if (std::ranges::any_of(options.measure.metrics, is_judged)) options.measure.judge = &judge_of();
  for (const std::string& metric : options.measure.metrics)
    if (const JudgedColumn* judged = find_judged(metric); judged && judged->of_map && judge_of().stage() == 0)
      throw usage_error(
          fmt::format("--metrics: {}: expected --stage 1 or more, found RM_0 of {}, which has no map", metric, flags.reward.model));
  const Pipeline pipeline(options.measure);
  if (!flags.baseline.empty() && flags.sets.empty())
    throw usage_error("--baseline: expected a --set whose rows are compared, found none. did you mean --baselines?");
  std::vector<SetRows> sets;  // what does not fit in one set is said before the work on the others
  for (const std::string& text : flags.sets) {
    const TestSet set = parse_test_set(text, "--set");
    for (const std::string& metric : options.measure.metrics)
      if (set.gt.empty() && !is_judged(metric) && find_metric(metric).needs_reference)
        throw usage_error(
            fmt::format("--set {}: expected references for {}, found none. write NAME=LQ:GT, or take metrics without a reference "
                        "(-m niqe,brisque,finpercep)",
                        set.name, metric));
    sets.push_back(rows_of(set, flags.generators));
  }
  check_outputs(sets, flags);
  const Compute compute = resolve_compute(flags.device, flags.dtype);
  std::map<std::string, SuperResolver> generators;  // one that cannot be had is said now as well
  for (const SetRows& of : sets)
    for (const Row& row : of.rows)
      if (!row.generator.empty() && !generators.contains(row.generator))
        generators.emplace(row.generator, make_super_resolver(row.generator, {.compute = compute}));
  if (!flags.output.empty()) make_directory(flags.output);
  if (!flags.reward.empty()) ask_reward(flags, judge_of);

  int64_t failures = 0;
  std::string first_failure;
  for (const SetRows& of : sets) {
    MethodResults methods;
    for (const Row& row : of.rows) {
      const std::string label = fmt::format("{} {}", of.set.name, row.name);
      if (row.generator.empty()) {
        methods.emplace_back(row.name, evaluate(pipeline, row.pairs, {}, label));
      } else {
        const SuperResolver& generator = generators.at(row.generator);
        const auto load = [&](int64_t i, const Reserve&) {
          Sample sample{generator(read_image(row.pairs[i].first), flags.seed), {}};
          round_to_bytes(sample.sr);  // as `upscale` writes it: rows of generators and of folders are alike
          if (!row.pairs[i].second.empty()) sample.ref = read_image(row.pairs[i].second);
          return sample;
        };
        methods.emplace_back(row.name, evaluate(pipeline, names_of(row.pairs), load, {.alone = true}, label));
      }
      const Evaluation& evaluation = methods.back().second;
      for (const std::string& failure : evaluation.failures)
        if (failures++ == 0) first_failure = failure;
      if (!flags.output.empty()) {
        Table pictures = per_image_table(evaluation, options);
        if (!row.generator.empty())
          pictures.caption += fmt::format("; pictures of {} {}, seed {}", row.generator, weights_hash(row.generator), flags.seed);
        write_file(csv_of(of, row.name, flags), render(pictures, TableFormat::csv));
      }
    }
    show(of.set.name, fmt::format("{} ({} pictures)", of.set.name, methods[0].second.names.size()), comparison_table(methods, options),
         flags);
    if (!flags.baseline.empty())
      show(difference_of(of.set), fmt::format("{}: difference to {}", of.set.name, flags.baseline),
           difference_table(methods, flags.baseline, options), flags);
  }
  if (failures > 0)
    throw input_error(
        fmt::format("eval: {} pictures could not be measured and are missing from the means, the first: {}", failures, first_failure));
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
      ->capture_default_str();
  command->add_option("--protocol", flags->protocol, "pyiqa, basicsr, stablesr")->capture_default_str();
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->check(CLI::Range(0, 1000));
  command->add_option("--baseline", flags->baseline, "row that the others are compared with, picture by picture (Wilcoxon's p)");
  command->add_option("--bootstrap", flags->resamples, "resamples of the 95 % interval")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_option("--table", flags->format, "text, md, csv, tex")->capture_default_str();
  add_seed_flag(*command, flags->seed, "noise of the generators");
  command->add_option("-o,--output", flags->output, "folder for the tables, as --table says (text: md), and a CSV with every picture");
  add_compute_flags(*command, flags->device, flags->dtype);
  command->add_flag("--overwrite", flags->overwrite, "replace existing files");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
