// SPDX-License-Identifier: Apache-2.0
// What run directories have to tell, as parts of a report.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "finpercep/report/report.h"

namespace finpercep {

struct Run {
  std::string name;
  std::filesystem::path path;
  std::vector<std::map<std::string, double>> lines;  ///< of metrics.jsonl
};
/// input_error for a directory without metrics.jsonl.
Run read_run(std::string name, const std::filesystem::path& path);

/// One chart for each metric that says something about the course of training, one curve a run; stage switches are marked where all runs
/// that have any switched alike. Metrics that no run has are left out.
std::vector<Chart> run_charts(const std::vector<Run>& runs);

/// A row a run: how far it is, its reward and held-out metrics at its first and last lines, how often the monitor gave alarm and when
/// first, rollbacks, updates that were skipped (not finite) or refused by the guard. Columns that no run has are left out.
ReportTable run_table(const std::vector<Run>& runs);

/// The newest sheet of samples of each run that has one.
std::vector<Strip> run_sheets(const std::vector<Run>& runs);

}  // namespace finpercep
