// SPDX-License-Identifier: Apache-2.0
// finpercep demo: the same generator fine-tuned without a reward (the control), by a global score, by the finest maps at once, and by CCL;
// measured on held-out photographs.
#include <fmt/format.h>

#include <numeric>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/curriculum/ccl.h"
#include "finpercep/evaluate/evaluate.h"
#include "finpercep/image/overlay.h"
#include "finpercep/image/resize.h"
#include "finpercep/report/runs.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

struct Flags {
  ConfigFlags config;
  std::vector<std::string> photos = {"build/photos"};
  std::string validation = "configs/photos/validation.txt", output = "runs/demo";
  int64_t test_photos = 8, test_side = 384;
};

struct Method {
  std::string name, generator;
};

// The run of one method; returns the trained generator's file.
std::string train(const std::string& name, const RlSettings& settings, const std::filesystem::path& output) {
  log_info(fmt::format("--- {}", name));
  run_rl(settings, output / name, false);
  return (output / name / "checkpoints" / "generator.safetensors").string();
}

// As many updates as the curriculum has, all with one frozen stage of the reward.
RlSettings frozen(RlSettings settings, int64_t stage) {
  settings.stage_iters = {std::accumulate(settings.stage_iters.begin(), settings.stage_iters.end(), int64_t{0})};
  settings.stages = {stage};
  settings.coevolve_freq = 0;
  return settings;
}

std::vector<TrainingPair> held_out(const Flags& flags, const DegradeSettings& degradation) {
  const PhotoSet photos({.photos = flags.photos, .exclude = "", .only = flags.validation}, 128);
  std::vector<TrainingPair> pairs;
  for (int64_t i = 0; i < std::min(flags.test_photos, photos.size()); ++i) {
    const int side = static_cast<int>(flags.test_side) / 4 * 4;
    const Image full = photos.centre_crop(i, side, side);
    Image gt = crop(full, 0, 0, full.width / 4 * 4, full.height / 4 * 4);
    Image lr = degrade(gt, degradation, Random(1, "demo", static_cast<uint64_t>(i)));
    pairs.push_back({std::move(gt), std::move(lr)});
  }
  return pairs;
}

ReportTable report_table(const Table& table) {
  ReportTable out{.title = "Held-out photographs", .columns = {}, .better = {}, .rows = {}, .note = table.caption};
  for (const Column& column : table.columns) {
    out.columns.push_back(column.title);
    out.better.push_back(!column.higher_is_better ? Better::none : *column.higher_is_better ? Better::up : Better::down);
  }
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const int decimals = table.columns[c].decimals;
      if (const auto* text = std::get_if<std::string>(&row[c])) cells.push_back(*text);
      else if (const auto* number = std::get_if<double>(&row[c])) cells.push_back(fmt::format("{:.{}f}", *number, decimals));
      else if (const auto* interval = std::get_if<Interval>(&row[c]))
        cells.push_back(fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", interval->mean, decimals, interval->low, decimals, interval->high, decimals));
      else cells.emplace_back();
    }
    out.rows.push_back(std::move(cells));
  }
  return out;
}

void run(const Flags& flags) {
  RlSettings settings;
  load_settings(settings, flags.config.config.empty() ? "" : read_config_text(flags.config.config), flags.config.config, flags.config.overrides);
  settings.datasets.photos = {.photos = flags.photos, .exclude = flags.validation, .only = ""};
  settings.val_photos = {.photos = flags.photos, .exclude = "", .only = flags.validation};
  if (flags.config.print) return print(to_yaml(settings));
  const std::filesystem::path output = flags.output;
  refuse_overwrite(output / "report.html", false);

  std::vector<Method> methods = {{"bicubic", "bicubic"}, {settings.network_g, settings.network_g}};
  RlSettings control = frozen(settings, 0);
  control.reward_weight = 0;
  control.pixel_weight = 1;
  methods.push_back({"no-reward", train("no-reward", control, output)});
  methods.push_back({"global-score", train("global-score", frozen(settings, 0), output)});
  methods.push_back({"no-curriculum", train("no-curriculum", frozen(settings, finest_stage), output)});
  methods.push_back({"ccl", train("ccl", settings, output)});

  const auto pairs = held_out(flags, settings.datasets.degradation);
  const Judge judge({.model = settings.reward, .device = settings.device});
  EvaluateOptions options;
  options.threads = 1;
  options.metric.threads = 0;
  std::vector<std::pair<std::string, Evaluation>> rows;
  std::vector<Strip> strips(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    strips[i].name = fmt::format("photograph {}", i + 1);
    strips[i].images.push_back({.label = "LR", .image = pairs[i].lr});
  }
  for (const Method& method : methods) {
    const SuperResolver generator = make_super_resolver(method.generator, {.compute = resolve_compute(settings.device, settings.dtype)});
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < pairs.size(); ++i) samples.push_back({strips[i].name, generator(pairs[i].lr, i), pairs[i].gt});
    rows.emplace_back(method.name, evaluate(samples, options));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Verdict verdict = judge(samples[i].sr);
      const auto& values = rows.back().second.values[i];
      strips[i].images.push_back({.label = method.name, .image = samples[i].sr, .map = verdict.map,
                                  .caption = fmt::format("PSNR-Y {:.2f}, LPIPS {:.3f}, S {:.3f}", values[0], values[2], verdict.score)});
    }
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) strips[i].images.push_back({.label = "GT", .image = pairs[i].gt, .map = judge(pairs[i].gt).map});

  const Table table = comparison_table(rows, options);
  ReportPage page{.title = "FinPercep demo", .subtitle = "One generator, four ways to go on, the same photographs",
                  .facts = {fmt::format("version: finpercep {}", version), fmt::format("generator: {}", settings.network_g), fmt::format("reward: {}", settings.reward),
                            fmt::format("updates per method: {}", control.stage_iters.front()), fmt::format("seed: {}", settings.manual_seed),
                            fmt::format("held-out photographs: {} crops of {} px, never trained on", pairs.size(), flags.test_side)},
                  .tables = {report_table(table)},
                  .charts = run_charts({{"no-reward", output / "no-reward"}, {"global-score", output / "global-score"}, {"no-curriculum", output / "no-curriculum"}, {"ccl", output / "ccl"}}),
                  .strips = std::move(strips)};
  page.notes = {"no-reward: the control. The same updates by the generator's own training loss in place of a reward: what it gains is further supervised training. global-score: RM_0, a plain global score, frozen. no-curriculum: the finest maps from the first update, frozen. ccl: the config's stages one after the other, the "
                "reward learning from the generator's own pictures along the way. All four share generator, data, seed, anchors and number of updates.",
                "The score chart shows each run's own reward model at its stage, so its levels are comparable within a run, not between runs."};
  write_file(output / "report.html", render_report(page));
  print(render(table, TableFormat::text));
  print(fmt::format("\nreport: {}\n", std::filesystem::absolute(output / "report.html").lexically_normal().string()));
}

}  // namespace

void add_demo(CLI::App& program) {
  CLI::App* command = program.add_subcommand("demo", "the whole road on photographs, small, with a report");
  auto flags = std::make_shared<Flags>();
  add_config_flags(*command, flags->config);
  command->add_option("--photos", flags->photos, "photographs")->capture_default_str();
  command->add_option("--validation", flags->validation, "stems of the photographs that are held out")->capture_default_str();
  command->add_option("-o,--output", flags->output, "folder of the runs and report.html")->capture_default_str();
  command->add_option("--test-photos", flags->test_photos, "held-out photographs to measure")->capture_default_str()->check(CLI::Range(1, 1000));
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
