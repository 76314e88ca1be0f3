// SPDX-License-Identifier: Apache-2.0
// A study's report and its plain text.
#pragma once
#include <string>
#include <vector>

#include "finpercep/report/report.h"
#include "finpercep/study/methods.h"
#include "finpercep/study/runs.h"
#include "finpercep/study/tables.h"

namespace finpercep {

/// Tables, the curves of `runs`, and strips of the pictures that `rows` have of `set`, with the judge's maps.
ReportPage study_page(const StudySettings& settings, const std::vector<Method>& methods, const std::vector<TitledTable>& tables,
                      const std::vector<StudyRun>& runs, const StudySet& set, const std::vector<StudyRow>& rows, const Judge& judge);
/// Facts and tables.
std::string study_markdown(const StudySettings& settings, const std::vector<Method>& methods, const std::vector<TitledTable>& tables);

}  // namespace finpercep
