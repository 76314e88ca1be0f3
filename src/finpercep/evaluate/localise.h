// SPDX-License-Identifier: Apache-2.0
// Whether a reward's maps lie on the defects, and its scores in their order: measured on FGR samples, whose labels are known.
#pragma once
#include <cstdint>
#include <string>

#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/fgr/set.h"
#include "finpercep/judge.h"

namespace finpercep {

struct LocaliseOptions {
  int64_t count = 0;       ///< samples, drawn once and for all (FgrSet::some); 0: all
  bool baselines = false;  ///< map_rivals() beside the reward
  BootstrapOptions bootstrap;
  std::string device = "auto";  ///< of the judges
  std::string progress = "localise";
};

struct Localisation {
  /// Maps against labels (map_agreement.h), over samples with a defect. A row for each source (the kinds of one, "distort:jpeg", together),
  /// for all, for each baseline. F1*, cP, cR: at the threshold that gives the highest mean F1 on the first half of the samples, measured on
  /// the second half. Means with 95 % intervals over photographs, of which samples are cut.
  Table maps;
  /// order: share with S_SR < S_syn < S_GT, or S_SR < S_GT where the swap is whole; map_in, map_out: mean of the map inside and outside the
  /// mask; map_clean: mean of the map of the clean picture. A row for each source, for all, for the seam controls (clean pixels swapped
  /// in).
  Table scores;
  /// seam ratio: mean of the map in the mask, seam controls' over true swaps' (1: the map shows seams, 0: defects); PLCC and SRCC of S with
  /// LPIPS-alex and DISTS over whole swaps; PLCC of the map with the label, of each rival too, mean of whole swaps. A row a question.
  Table summary;
};

Localisation localise(const FgrSet& set, const Judge& judge, const LocaliseOptions& options);

}  // namespace finpercep
