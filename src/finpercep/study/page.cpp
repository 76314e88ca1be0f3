// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/report/runs.h"
#include "finpercep/version.h"

namespace finpercep {

namespace {

std::vector<std::string> facts_of(const StudySettings& settings, const std::vector<Method>& methods) {
  const std::string generator = usual(&RlSettings::network_g, settings, methods), reward = usual(&RlSettings::reward, settings, methods);
  std::vector<std::string> facts = {fmt::format("version: finpercep {}", version), fmt::format("generator: {}", generator),
                                    fmt::format("reward: {}", reward), fmt::format("judge of the maps: {}", settings.judge)};
  for (const Method& method : methods) {
    facts.push_back(fmt::format("{}: {} iterations, seed{} {}; {}", method.name, method.rl.total_iter(), method.seeds.size() > 1 ? "s" : "",
                                fmt::join(method.seeds, " "), method.words.empty() ? "the config as it is" : method.words));
    if (method.rl.network_g != generator) facts.back() += fmt::format("; generator {}", method.rl.network_g);
    if (method.rl.reward != reward) facts.back() += fmt::format("; reward {}", method.rl.reward);
  }
  if (!settings.held_out.photos.photos.empty())
    facts.push_back(fmt::format("held-out photographs: crops of {} px", settings.held_out.side));
  return facts;
}

ReportTable report_table(const TitledTable& titled) {
  const Table& table = titled.table;
  ReportTable out{.title = titled.title, .columns = {}, .better = {}, .rows = {}, .note = table.caption, .mark_best = table.mark_best};
  for (const Column& column : table.columns) {
    out.columns.push_back(column.title);
    out.better.push_back(!column.higher_is_better ? Better::none : *column.higher_is_better ? Better::up : Better::down);
  }
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < row.size(); ++c) cells.push_back(cell_text(row[c], table.columns[c].decimals));
    out.rows.push_back(std::move(cells));
  }
  return out;
}

std::vector<Strip> strips_of(const StudySet& set, const std::vector<StudyRow>& rows, const Judge& judge) {
  std::vector<Strip> strips;
  for (std::size_t i = 0; !rows.empty() && i < rows.front().pictures.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    Strip strip{.name = set.names[i]};
    Image gt;
    try {
      strip.images.push_back({.label = "LR", .image = set.lq(at)});
      gt = set.gt(at);
    } catch (const Error& error) {  // it was said when it was to be measured
      if (error.code() != ExitCode::input) throw;
      continue;
    }
    for (const StudyRow& row : rows) {
      if (row.pictures[i].data.empty()) continue;
      const Verdict verdict = judge(row.pictures[i]);
      std::vector<std::string> caption;
      for (std::size_t m = 0; m < set.metrics.size(); ++m) {
        const double value = row.values.front().values[i][m];
        if (set.metrics[m] == "psnry") caption.push_back(fmt::format("PSNR-Y {:.2f}", value));
        if (set.metrics[m] == "lpips") caption.push_back(fmt::format("LPIPS {:.3f}", value));
      }
      caption.push_back(fmt::format("S {:.3f}", verdict.score));
      strip.images.push_back(
          {.label = row.name, .image = row.pictures[i], .map = verdict.map, .caption = fmt::format("{}", fmt::join(caption, ", "))});
    }
    strip.images.push_back({.label = "GT", .image = gt, .map = judge(gt).map});
    strips.push_back(std::move(strip));
  }
  return strips;
}

}  // namespace

ReportPage study_page(const StudySettings& settings, const std::vector<Method>& methods, const std::vector<TitledTable>& tables,
                      const std::vector<StudyRun>& runs, const StudySet& set, const std::vector<StudyRow>& rows, const Judge& judge) {
  ReportPage page{.title = settings.title, .subtitle = settings.subtitle, .facts = facts_of(settings, methods), .notes = settings.notes};
  for (const TitledTable& table : tables) page.tables.push_back(report_table(table));
  std::vector<Run> charted;
  for (const StudyRun& run : runs) {
    const bool alone = std::ranges::count(runs, run.method, &StudyRun::method) == 1;
    charted.push_back(read_run(alone ? run.method : run.folder.filename().string(), run.folder));
  }
  page.tables.push_back(run_table(charted));
  page.charts = run_charts(charted);
  page.strips = strips_of(set, rows, judge);
  return page;
}

std::string study_markdown(const StudySettings& settings, const std::vector<Method>& methods, const std::vector<TitledTable>& tables) {
  std::string text = fmt::format("# {}\n\n", settings.title);
  for (const std::string& fact : facts_of(settings, methods)) text += fmt::format("- {}\n", fact);
  for (const TitledTable& table : tables) text += fmt::format("\n## {}\n\n{}", table.title, render(table.table, TableFormat::markdown));
  for (const std::string& note : settings.notes) text += fmt::format("\n{}\n", note);
  return text;
}

}  // namespace finpercep
