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

/// One row a method: mean and bootstrap interval over pictures; a picture's value is the mean over the seeds. `variants` ends the caption.
Table level_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics, const BootstrapOptions& bootstrap,
                  const std::string& variants);

/// One row for each but `baseline`: its mean less the baseline's on the same pictures, in percent of the baseline's mean (absolute for
/// PSNR, S and severity), with the bootstrap interval over pictures and Wilcoxon's p.
Table difference_table(const std::vector<StudyRow>& rows, const std::string& baseline, const std::vector<std::string>& metrics,
                       const BootstrapOptions& bootstrap);

/// One row a trained method: mean and standard deviation over seeds of the mean over pictures, and that of each seed.
Table seed_table(const std::vector<StudyRow>& rows, const std::vector<std::string>& metrics);

/// Levels, differences where there are any and, where a row has several seeds, seeds.
std::vector<TitledTable> study_tables(const StudySet& set, const std::vector<StudyRow>& rows, const std::string& baseline,
                                      const std::vector<std::string>& metrics, const BootstrapOptions& bootstrap,
                                      const std::string& variants);

}  // namespace finpercep
