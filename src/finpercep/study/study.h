// SPDX-License-Identifier: Apache-2.0
// A study as one call: trains every method for every seed, measures them beside the untrained generators, and writes what was found.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/study/methods.h"
#include "finpercep/study/tables.h"

namespace finpercep {

struct StudyOptions {
  std::vector<std::string> only;  ///< methods to train; none: all
  bool train = true, evaluate = true;
};

struct StudyResult {
  std::vector<TitledTable> tables;    ///< set by set; none without options.evaluate
  std::vector<std::string> failures;  ///< one line for each run that ended before its time and each picture that could not be measured
};

/// Into `output`: runs/METHOD-seedK, values/SET/ROW.csv (every picture), study.yaml (the settings), study.md (the tables), report.html.
/// Runs that are finished and values that are still true are not made again, so the call can be repeated after an interruption or with more
/// methods. Methods without a finished run are left out with a warning. What is wrong with settings, pictures or weights is said before
/// anything is trained.
StudyResult run_study(const StudySettings& settings, const std::vector<Method>& methods, const std::filesystem::path& output,
                      const StudyOptions& options = {});

/// input_error where something failed, once the rest is shown.
void throw_failures(const StudyResult& result);

}  // namespace finpercep
