// SPDX-License-Identifier: Apache-2.0
// finpercep study run -c CONFIG [-o OUT] [--only METHOD..] [--train-only | --evaluate-only]
#include <fmt/format.h>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/study/study.h"

namespace finpercep {

namespace {

struct Flags {
  ConfigFlags config;
  std::string output;
  std::vector<std::string> only;
  bool train_only = false, evaluate_only = false;
};

void run(const Flags& flags) {
  StudySettings settings;
  if (!load_config(flags.config, settings)) return;
  if (settings.methods.empty()) throw usage_error("study: methods: expected at least one, found none. name the study's config with -c");
  const std::filesystem::path config = flags.config.config;
  const auto methods = parse_methods(settings, config.parent_path(), flags.config.overrides);
  const auto output = flags.output.empty() ? std::filesystem::path("runs/study") / (config.empty() ? "study" : config.stem())
                                           : std::filesystem::path(flags.output);
  const StudyResult result =
      run_study(settings, methods, output, {.only = flags.only, .train = !flags.evaluate_only, .evaluate = !flags.train_only});
  for (const TitledTable& table : result.tables) print(fmt::format("{}\n{}\n", table.title, render(table.table, TableFormat::text)));
  if (!flags.train_only) print(fmt::format("report: {}\n", std::filesystem::absolute(output / "report.html").lexically_normal().string()));
  throw_failures(result);
}

}  // namespace

void add_study(CLI::App& program) {
  CLI::App* study = program.add_subcommand("study", "methods side by side");
  study->require_subcommand(1);
  CLI::App* command = study->add_subcommand("run", "train every method of a config for every seed and measure all on the same pictures");
  auto flags = std::make_shared<Flags>();
  add_config_flags(*command, flags->config);
  command
      ->add_option("-o,--output", flags->output,
                   "folder of runs, values and tables (default: runs/study/<name of the config>); the same again goes on from there")
      ->check(a_path());
  command->add_option("--only", flags->only, "train these methods and no others; all that is finished is measured")->take_all();
  CLI::Option* train_only = command->add_flag("--train-only", flags->train_only, "measure nothing");
  command->add_flag("--evaluate-only", flags->evaluate_only, "train nothing: measure what is finished")->excludes(train_only);
  command->callback([flags] { run(*flags); });
}

}  // namespace finpercep
