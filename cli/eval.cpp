// SPDX-License-Identifier: Apache-2.0
// finpercep eval --set NAME=LQ:GT[:SR].. [-g GENERATOR..] [-m ..] [--bootstrap N] [--table text|md|csv|tex] [-o DIR]
// finpercep eval --map FGR_DIR.. | --response PHOTOS.. [--model ..]: eval_reward.cpp
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/command.h"
#include "cli/eval_reward.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/evaluate/evaluate.h"
#include "finpercep/evaluate/test_set.h"
#include "finpercep/generate/generator.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

struct Flags {
  std::vector<std::string> sets, generators, metrics = {"psnry", "ssim", "lpips"};
  RewardQuestions reward;
  std::string protocol = "stablesr", format = "text", output, device = "auto", dtype = "auto";
  int crop_border = 0, resamples = 10'000;
  uint64_t seed = 0;
  bool overwrite = false;
};

// A set's pictures with their references: those that another program made, and those to be made larger.
struct SetPairs {
  std::vector<Pair> made, inputs;
};
SetPairs pair_up(const TestSet& set, bool by_generators) {
  const auto gt = list_images({set.gt});
  SetPairs pairs;
  if (!set.sr.empty()) pairs.made = match_pairs(list_images({set.sr}), gt);
  if (by_generators) pairs.inputs = match_pairs(list_images({set.lq}), gt, "LR picture");
  return pairs;
}

// What is measured on a set: the folder of pictures, if it has one, and every generator.
std::vector<std::string> rows_of(const TestSet& set, const Flags& flags) {
  std::vector<std::string> rows = flags.generators;
  if (!set.sr.empty()) rows.insert(rows.begin(), set.sr);
  return rows;
}

// A row is called by the stem of its name, or by the whole of it where two have one stem: every run's checkpoint is generator.safetensors.
std::filesystem::path csv_of(const TestSet& set, const std::string& row, const Flags& flags) {
  const auto stem = [](const std::string& name) { return std::filesystem::path(folder_name(name)).stem().string(); };
  std::string name = stem(row);
  if (std::ranges::count(rows_of(set, flags), name, stem) > 1) {
    name = row;
    std::ranges::replace(name, '/', '_');
  }
  return std::filesystem::path(flags.output) / fmt::format("{}-{}.csv", set.name, name);
}

// Of a set or of a question about a reward.
std::filesystem::path table_of(const std::string& stem, const Flags& flags) { return std::filesystem::path(flags.output) / (stem + ".md"); }

// Before any work.
void check_outputs(const std::vector<TestSet>& sets, const Flags& flags) {
  std::vector<std::filesystem::path> written;
  for (const std::string& stem : reward_tables(flags.reward)) written.push_back(table_of(stem, flags));
  for (const TestSet& set : sets) {
    const std::vector<std::string> rows = rows_of(set, flags);
    if (rows.empty())
      throw usage_error(fmt::format("eval: set {}: expected SR pictures (NAME=LQ:GT:SR) or a generator (-g), found neither", set.name));
    written.push_back(table_of(set.name, flags));
    for (const std::string& row : rows) written.push_back(csv_of(set, row, flags));
  }
  if (flags.output.empty()) return;
  std::set<std::filesystem::path> files;
  for (const auto& file : written) {
    if (!files.insert(file).second)
      throw usage_error(fmt::format("eval: expected every set and generator once, found two that would be written to {}", file.string()));
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

// Each table to stdout and, with -o, to a file.
void ask_reward(const Flags& flags) {
  RewardQuestions questions = flags.reward;
  questions.device = flags.device;
  questions.dtype = flags.dtype;
  questions.resamples = flags.resamples;
  questions.seed = flags.seed;
  if (!flags.generators.empty()) questions.generators = flags.generators;
  const TableFormat format = parse_table_format(flags.format);
  answer_reward_questions(questions, [&](const std::string& stem, const Table& table) {
    print_table(stem, table, format);
    if (format != TableFormat::markdown) print("\n");
    if (!flags.output.empty()) write_file(table_of(stem, flags), render(table, TableFormat::markdown));
  });
}

void run(const Flags& flags) {
  if (flags.sets.empty() && flags.reward.empty())
    throw usage_error("eval: expected --set NAME=LQ:GT, --map FGR_DIR or --response PHOTOS, found none of them");
  for (const std::string& metric : flags.metrics)
    if (metric.starts_with("finpercep"))
      throw usage_error(
          fmt::format("--metrics: expected a metric that measures against a reference or without our reward, found {}. use `finpercep "
                      "score`, or finpercep.score in a `study`",
                      metric));
  std::vector<TestSet> sets;
  for (const std::string& text : flags.sets) sets.push_back(parse_test_set(text, "--set"));
  check_outputs(sets, flags);
  std::vector<SetPairs> pairs;  // what does not fit in one set is said before the work on the others
  for (const TestSet& set : sets) pairs.push_back(pair_up(set, !flags.generators.empty()));
  EvaluateOptions options;
  options.metrics = flags.metrics;
  options.bootstrap.resamples = flags.resamples;
  options.metric.protocol = parse_protocol(flags.protocol);
  options.metric.crop_border = flags.crop_border;
  options.metric.device = flags.device;
  const TableFormat format = parse_table_format(flags.format);
  const Compute compute = resolve_compute(flags.device, flags.dtype);
  if (!flags.output.empty()) make_directory(flags.output);
  if (!flags.reward.empty()) ask_reward(flags);

  int64_t failures = 0;
  std::string first_failure;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const TestSet& set = sets[s];
    std::vector<std::pair<std::string, Evaluation>> rows;
    const auto measured = [&](const std::string& name, const Evaluation& evaluation) {
      rows.emplace_back(name, evaluation);
      for (const std::string& failure : evaluation.failures)
        if (failures++ == 0) first_failure = failure;
      if (!flags.output.empty()) write_file(csv_of(set, name, flags), render(per_image_table(evaluation), TableFormat::csv));
    };
    if (!set.sr.empty()) {
      options.progress = set.name;
      measured(set.sr, evaluate(pairs[s].made, options));
    }
    const std::vector<Pair>& inputs = pairs[s].inputs;
    for (const std::string& name : flags.generators) {
      const SuperResolver generator = make_super_resolver(name, {.compute = compute});
      EvaluateOptions one = options;
      one.progress = fmt::format("{} {}", set.name, name);
      one.threads = 1;  // the generator uses all cores itself
      const auto load = [&](int64_t i) {
        return Sample{generator(read_image(inputs[i].first), flags.seed + static_cast<uint64_t>(i)), read_image(inputs[i].second)};
      };
      measured(name, evaluate(names_of(inputs), load, one));
    }
    const Table table = comparison_table(rows, options);
    print_table(fmt::format("{} ({} pictures)", set.name, rows[0].second.names.size()), table, format);
    if (!flags.output.empty()) write_file(table_of(set.name, flags), render(table, TableFormat::markdown));
  }
  if (failures > 0)
    throw input_error(
        fmt::format("eval: {} pictures could not be measured and are missing from the means, the first: {}", failures, first_failure));
}

}  // namespace

void add_eval(CLI::App& program) {
  CLI::App* command = program.add_subcommand("eval", "measure generators on test sets: per picture, mean, bootstrap interval");
  auto flags = std::make_shared<Flags>();
  command->add_option("--set", flags->sets, "NAME=LQ:GT or NAME=LQ:GT:SR, folders; pictures are matched by stem")->take_all();
  add_reward_flags(*command, flags->reward);
  command
      ->add_option("-g,--generator", flags->generators, "names of `finpercep models`, NAME@STEPS, checkpoint or TorchScript files, bicubic")
      ->take_all();
  command->add_option("-m,--metrics", flags->metrics, "comma separated; `finpercep metrics` lists them")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--protocol", flags->protocol, "pyiqa, basicsr, stablesr")->capture_default_str();
  command->add_option("--crop-border", flags->crop_border, "pixels cut off before PSNR and SSIM")->check(CLI::Range(0, 1000));
  command->add_option("--bootstrap", flags->resamples, "resamples of the 95 % interval")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_option("--table", flags->format, "text, md, csv, tex")->capture_default_str();
  command->add_option("--seed", flags->seed, "noise of the generators");
  command->add_option("-o,--output", flags->output, "folder for the table and a CSV with every picture");
  command->add_option("--device", flags->device, "cpu, cuda, cuda:N, auto")->capture_default_str();
  command->add_option("--dtype", flags->dtype, "fp32, bf16, auto")->capture_default_str();
  command->add_flag("--overwrite", flags->overwrite, "replace existing files");
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
