// SPDX-License-Identifier: Apache-2.0
// finpercep demo: the same generator fine-tuned without a reward (the control), by a global score, by the finest maps at once, and by CCL;
// measured on held-out photographs. A small study.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/image/io.h"
#include "finpercep/study/study.h"

namespace finpercep {

namespace {

struct Flags {
  ConfigFlags config;
  std::vector<std::string> photos;
  std::string validation, output = "runs/demo";
  int64_t test_photos = 8;
};

// Photographs that the config's list of held-out ones does not name get a list of their own, OUT/validation.txt: `count` of them, evenly
// spread, but no more than a third. A list that is there stays: what the folder's runs were trained on is never measured.
void hold_out(RlSettings& rl, int64_t count, const std::filesystem::path& output) {
  const std::vector<std::filesystem::path> photos = list_images(rl.datasets.photos.photos);
  std::error_code none;  // our list lies in the checkout, which the program may not have been started in
  const auto named = std::filesystem::exists(rl.val.photos.only, none) ? stems_in(rl.val.photos.only) : std::set<std::string>();
  if (std::ranges::any_of(photos, [&](const auto& photo) { return named.contains(photo.stem().string()); })) return;
  const std::string list = rl.datasets.photos.exclude = rl.val.photos.only = (output / "validation.txt").string();
  if (std::filesystem::exists(list, none)) return log_info(fmt::format("{} says, as before, which photographs are held out", list));
  const auto found = static_cast<int64_t>(photos.size());
  const int64_t held_out = std::min(count, found / 3);
  if (held_out == 0) throw usage_error(fmt::format("--photos: expected at least 3 photographs, found {}", found));
  std::string stems = "# Held out: measured, not trained on.\n";
  for (int64_t k = 0; k < held_out; ++k) stems += photos[k * found / held_out].stem().string() + "\n";
  make_directory(output);
  write_file(list, stems);
  log_info(fmt::format("{} of {} photographs are held out: {}", held_out, found, list));
}

void run(const Flags& flags) {
  RlSettings rl;
  read_config(flags.config, rl);
  const std::filesystem::path output = flags.output;
  if (!flags.photos.empty()) rl.datasets.photos.photos = rl.val.photos.photos = flags.photos;
  if (!flags.validation.empty()) rl.datasets.photos.exclude = rl.val.photos.only = flags.validation;
  if (flags.config.print) return print(describe_settings(rl));
  if (!flags.photos.empty() && flags.validation.empty()) hold_out(rl, flags.test_photos, output);

  StudySettings settings;
  settings.title = "FinPercep demo";
  settings.subtitle = "One generator, four ways to go on, the same photographs";
  settings.rl = rl;
  // As many updates as the curriculum has, all with one frozen stage of the reward.
  const auto frozen = [&](int64_t stage) { return fmt::format("stages=[{}] stage_iters=[{}] coevolve_freq=0", stage, rl.total_iter()); };
  settings.methods = {fmt::format("no-reward: {} reward_weight=0 pixel_weight=1", frozen(0)), fmt::format("global-score: {}", frozen(0)),
                      fmt::format("no-curriculum: {}", frozen(finest_stage)), "ccl"};
  settings.seeds = {rl.manual_seed};
  const int64_t scale = rl.datasets.degradation.scale;
  settings.others = {scale == 4 ? "bicubic" : fmt::format("bicubic@{}", scale)};
  settings.held_out = {.photos = rl.val.photos, .count = flags.test_photos};
  settings.metrics = {"psnry", "ssim", "lpips"};
  settings.judge = rl.reward;
  settings.strips = flags.test_photos;
  settings.notes = {
      "no-reward: the control. The same updates by the generator's own training loss in place of a reward: what it gains is further "
      "supervised training. global-score: RM_0, a score without a map, frozen. no-curriculum: the finest maps from the first update, "
      "frozen. ccl: the config's stages one after the other, the "
      "reward learning from the generator's own pictures along the way. All four share generator, data, seed, anchors and number of "
      "updates.",
      "The score chart shows each run's own reward model at its stage, so its levels are comparable within a run, not between runs."};
  const StudyResult result = run_study(settings, parse_methods(settings, ""), output);
  print(render(result.tables.front().table, TableFormat::text));
  print(fmt::format("\nreport: {}\n", std::filesystem::absolute(output / "report.html").lexically_normal().string()));
  throw_failures(result);
}

}  // namespace

void add_demo(CLI::App& program) {
  CLI::App* command = program.add_subcommand("demo", "the whole road on photographs, small, with a report");
  auto flags = std::make_shared<Flags>();
  flags->config.config = "configs/rl/ccl.yaml";
  add_config_flags(*command, flags->config);
  command->add_option("--photos", flags->photos, "photographs, in place of the config's");
  command->add_option(
      "--validation", flags->validation,
      "file of the stems that are held out, in place of the config's; default with --photos: OUT/validation.txt, a few of them");
  command->add_option("-o,--output", flags->output, "folder of the runs and report.html")->capture_default_str()->check(a_path());
  command->add_option("--test-photos", flags->test_photos, "held-out photographs to measure")
      ->capture_default_str()
      ->transform(whole_in(1, 1000));
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
