// SPDX-License-Identifier: Apache-2.0
// Whether a reward's maps lie on the defects, and its scores in their order: measured on FGR samples, whose labels are known.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/fgr/set.h"
#include "finpercep/judge.h"

namespace finpercep {

/// One map against its label. What a picture leaves undefined (no defect pixel, no clean one, a constant) is NaN.
struct MapAgreement {
  double l1 = 0;     ///< mean absolute difference
  double plcc = 0;   ///< Pearson's correlation over pixels
  double auroc = 0;  ///< that a defect pixel's map is above a clean pixel's; ties count half
  double aupr = 0;   ///< average precision
  double iou = 0, f1 = 0;  ///< of the map at 0.5 and the defect pixels
  double hit = 0;    ///< 1 where the map's maximum lies on a defect pixel (the pointing game)
};

/// Label values from here on are defect pixels in the measures that need two classes.
constexpr float defect_label = 0.1f;

/// Both 1 channel, of one size, values in [0,1].
MapAgreement compare_maps(const Image& map, const Image& label);

struct LocaliseOptions {
  int64_t count = 0;  ///< samples, evenly spread; 0: all
  BootstrapOptions bootstrap;
  std::string progress = "localise";
};

/// A row for each source (the kinds of one, "distort:jpeg", together), for all, and for the seam controls (clean pixels swapped in). Columns: samples; order: share with
/// S_SR < S_syn < S_GT, or S_SR < S_GT where the swap is whole; the measures above on the swapped picture, over samples with a defect; map_in, map_out: mean of the map inside and outside
/// the mask; map_clean: mean of the map of the clean picture. Means with 95 % intervals over samples.
Table localisation_table(const FgrSet& set, const Judge& judge, const LocaliseOptions& options);

}  // namespace finpercep
