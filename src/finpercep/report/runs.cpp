// SPDX-License-Identifier: Apache-2.0
#include "finpercep/report/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/run_dir.h"
#include "finpercep/base/text.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

struct Shown {
  const char *key, *title, *axis;
};
// In the order in which a reader asks: is the reward rising, and do metrics that it does not see agree?
constexpr Shown shown[] = {
    {"score", "Reward model's score of the generator's pictures (RM_k of the stage)", "S"},
    {"reward", "Reward of the generator's pictures", "R"},
    {"val_lpips", "Held-out LPIPS-alex, not in the reward (lower is better)", "LPIPS"},
    {"val_psnry", "Held-out PSNR-Y, not in the reward", "dB"},
    {"val_ssim", "Held-out SSIM-Y, not in the reward", "SSIM"},
    {"val_map", "Held-out samples: map loss", "L_map"},
    {"val_corr", "Held-out samples: 1 - correlation of map and label", "1 - PLCC"},
    {"val_order", "Held-out samples: share with S_SR < S_syn < S_GT", "share"},
    {"map_mean", "Mean of the defect map", "PDM"},
    {"reward_std", "Spread of the reward within a batch", "std of R"},
    {"l_pix", "Pixel loss to the clean photograph (losses.pixel)", "loss"},
    {"l_percep", "LPIPS-vgg to the clean photograph", "LPIPS"},
    {"l_ref", "Distance to the frozen reference", "MSE"},
    {"l_lr", "Distance to the LR picture", "L1"},
    {"grad_norm", "Gradient norm", "norm"},
    {"group_std", "Spread of the reward among pictures of one input", "std of R"},
    {"kl", "Divergence from the frozen reference", "KL"},
    {"clip_fraction", "GRPO: share of ratios outside the clip range", "share"},
    {"accuracy", "DPO: share of pairs that the net orders as the reward does", "share"},
    {"monitor_sharpness", "Monitor: detail energy over the photograph's", "log2"},
    {"monitor_grid", "Monitor: lattice beyond the photograph's", "luma"},
    {"monitor_disagreement", "Monitor: SSIM lost while the reward rose", "SSIM"},
    {"l_map", "Map loss", "L_map"},
    {"l_corr", "1 - correlation of map and label", "1 - PLCC"},
    {"l_rank", "Rank loss", "L_rank"},
    {"order", "Share with S_SR < S_syn < S_GT", "share"},
    {"rm_map", "Map loss of the co-evolving reward", "L_map"},
    {"rm_rank", "Rank loss of the co-evolving reward", "L_rank"},
    {"rm_align", "Alignment loss of the co-evolving reward", "L_align"},
    {"rm_order", "Order of the co-evolving reward", "share"},
};

using Lines = std::vector<std::map<std::string, double>>;  // Run::lines

// A value that some iterations did not have is NaN there.
std::vector<double> values_of(const Lines& lines, const std::string& key) {
  std::vector<double> values;
  for (const auto& line : lines)
    if (const auto found = line.find(key); found != line.end() && std::isfinite(found->second)) values.push_back(found->second);
  return values;
}

std::string first_to_last(const Lines& lines, const std::string& key) {
  const std::vector<double> values = values_of(lines, key);
  if (values.empty()) return "";
  return values.size() == 1 ? fmt::format("{:.4g}", values[0]) : fmt::format("{:.4g} → {:.4g}", values.front(), values.back());
}

// How many iterations reported it: lines hold means over those since the line before.
std::string counted(const Lines& lines, const std::string& key) {
  double count = 0, before = 0;
  bool known = false;
  for (const auto& line : lines) {
    const auto found = line.find(key), step = line.find("step");
    if (found == line.end() || step == line.end()) continue;
    known = true;
    count += found->second * (step->second - before);
    before = step->second;
  }
  return known ? fmt::format("{:.0f}", count) : "";
}

std::string alarms(const Lines& lines) {
  int64_t count = 0;
  double first = 0;
  for (const auto& line : lines) {
    // Runs of before "alarm" was logged have the rollbacks alone.
    if (!line.contains("alarm") && !line.contains("rollback")) continue;
    if (count++ == 0 && line.contains("step")) first = line.at("step");
  }
  return count > 0 ? fmt::format("{}, first at {:.0f}", count, first) : "0";
}

}  // namespace

Run read_run(std::string name, const std::filesystem::path& path) {
  if (!std::filesystem::exists(path / "metrics.jsonl"))
    throw input_error(fmt::format("report: {}: expected a run directory with metrics.jsonl, found none", path.string()));
  return {std::move(name), path, read_metrics(path / "metrics.jsonl")};
}

ReportTable run_table(const std::vector<Run>& runs) {
  std::vector<std::string> columns = {"run",   "iterations", "reward",  "S",      "held-out LPIPS", "held-out PSNR-Y", "held-out SSIM-Y",
                                      "order", "skipped",    "guarded", "alarms", "rollbacks"};
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs) {
    const Lines& lines = run.lines;
    const std::vector<double> steps = values_of(lines, "step");
    const bool watched = !values_of(lines, "monitor_grid").empty();
    rows.push_back({run.name, steps.empty() ? "0" : fmt::format("{:.0f}", std::ranges::max(steps)), first_to_last(lines, "reward"),
                    first_to_last(lines, "score"), first_to_last(lines, "val_lpips"), first_to_last(lines, "val_psnry"),
                    first_to_last(lines, "val_ssim"), first_to_last(lines, "order"), counted(lines, "skipped"), counted(lines, "guarded"),
                    watched ? alarms(lines) : "", watched ? fmt::format("{}", values_of(lines, "rollback").size()) : ""});
  }
  ReportTable table{.title = "Runs, first logged value → last"};
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (std::ranges::any_of(rows, [c](const auto& row) { return !row[c].empty(); })) table.columns.push_back(columns[c]);
  for (auto& row : rows) {
    std::vector<std::string> kept;
    for (std::size_t c = 0; c < columns.size(); ++c)
      if (std::ranges::find(table.columns, columns[c]) != table.columns.end()) kept.push_back(std::move(row[c]));
    table.rows.push_back(std::move(kept));
  }
  return table;
}

std::vector<Strip> run_sheets(const std::vector<Run>& runs) {
  std::vector<Strip> strips;
  for (const Run& run : runs) {
    const std::filesystem::path folder = run.path / "samples";
    std::filesystem::path newest;
    int64_t last = -1;  // sheets are called by their iterations; pictures of other names are somebody else's
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
      const auto iter = parse_number<int64_t>(entry.path().stem().string());
      if (entry.path().extension() != ".png" || !iter || *iter <= last) continue;
      newest = entry.path();
      last = *iter;
    }
    if (newest.empty()) continue;
    strips.push_back({.name = run.name,
                      .images = {{.label = fmt::format("after {}", last),
                                  .image = read_image(newest),
                                  .caption = "from left to right: LR, before, now, its map, photograph"}}});
  }
  return strips;
}

std::vector<Chart> run_charts(const std::vector<Run>& runs) {
  // Where the curriculum switched, if all runs that have one switched alike.
  std::optional<std::vector<Marker>> markers;
  for (const Run& run : runs) {
    std::vector<Marker> switches;
    for (const auto& line : run.lines)
      if (line.contains("switch_to") && line.contains("step"))
        switches.push_back({line.at("step"), fmt::format("RM_{:.0f}", line.at("switch_to"))});
    if (switches.empty()) continue;
    const auto alike = [](const Marker& a, const Marker& b) { return a.x == b.x && a.label == b.label; };
    if (markers && !std::ranges::equal(*markers, switches, alike)) switches.clear();
    markers = std::move(switches);
    if (markers->empty()) break;
  }
  std::vector<Chart> charts;
  for (const Shown& show : shown) {
    Chart chart{.title = show.title,
                .x_label = "iterations",
                .y_label = show.axis,
                .curves = {},
                .markers = markers.value_or(std::vector<Marker>())};
    for (const Run& run : runs) {
      Curve curve{.name = run.name, .points = {}};
      for (const auto& line : run.lines)
        if (const auto found = line.find(show.key); found != line.end() && line.contains("step"))
          curve.points.emplace_back(line.at("step"), found->second);
      if (values_of(run.lines, show.key).size() > 1) chart.curves.push_back(std::move(curve));
    }
    if (!chart.curves.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace finpercep
