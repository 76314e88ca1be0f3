// SPDX-License-Identifier: Apache-2.0
// finpercep report RUN.. -o report.html
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/outputs.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/report/runs.h"
#include "finpercep/version.h"

namespace finpercep {

void add_report(CLI::App& program) {
  CLI::App* command = program.add_subcommand("report", "one HTML page of one or several runs: table, curves, newest samples");
  struct Flags {
    std::vector<std::string> runs;
    std::string output;
    bool overwrite = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("run", flags->runs, "run directories")->required();
  command->add_option("-o,--output", flags->output, "the HTML file")->required();
  command->add_flag("--overwrite", flags->overwrite, "replace an existing file");
  command->callback([flags] {
    check_page(flags->output, flags->overwrite);
    std::vector<Run> runs;
    for (const std::string& path : flags->runs) {
      const std::string name = folder_name(path);
      const bool alone = std::ranges::count(flags->runs, name, folder_name) == 1;
      runs.push_back(read_run(alone ? name : path, path));
    }
    ReportPage page{.title = "FinPercep runs",
                    .subtitle = fmt::format("{} runs", runs.size()),
                    .facts = {fmt::format("version: finpercep {}", version)},
                    .tables = {run_table(runs)},
                    .charts = run_charts(runs),
                    .strips = run_sheets(runs)};
    for (const Run& run : runs) page.facts.push_back(fmt::format("{}: {}", run.name, run.path.string()));
    write_file(flags->output, render_report(page));
    log_info(fmt::format("report: {}", flags->output));
  });
}

}  // namespace finpercep
