// SPDX-License-Identifier: Apache-2.0
// A study's tables of one set: levels, paired differences to one row, and seeds.
#pragma once
#include <string>
#include <vector>

#include "finpercep/study/measure.h"

namespace finpercep {

struct TitledTable {
  std::string title;
  Table table;
};

/// One row a trained method: the mean over pictures of each seed, their mean and its interval.
Table seed_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics);

/// Levels, differences to `baseline` where there are any and, where a row has several seeds, seeds. A picture's value is the mean over the
/// seeds.
std::vector<TitledTable> study_tables(const std::string& title, const std::vector<StudyRow>& rows, const std::string& baseline,
                                      const EvaluateOptions& options);

}  // namespace finpercep
