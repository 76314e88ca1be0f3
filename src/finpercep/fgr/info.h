// SPDX-License-Identifier: Apache-2.0
// What is in a set: counts by source, mask, variation of the clean photograph, area and severity.
#pragma once
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "finpercep/fgr/set.h"

namespace finpercep {

struct FgrHistogram {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> bins;
};

/// source, mask, variation: in order of name. area: of the samples that are not swapped whole, bins of equal ratio over `areas`. severity:
/// tenths, of the samples whose label is not zero by construction.
std::vector<FgrHistogram> fgr_histograms(const FgrSet& set, const std::array<double, 2>& areas);

/// "severity: no sample in 0.9..1", one line for each empty bin and each source of `settings` that made none.
std::vector<std::string> fgr_gaps(const std::vector<FgrHistogram>& histograms, const FgrSettings& settings);

}  // namespace finpercep
