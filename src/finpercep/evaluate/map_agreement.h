// SPDX-License-Identifier: Apache-2.0
// How a map agrees with the label of the same picture. Maps and labels: 1 channel, of one size, values in [0,1], 1 = defect.
#pragma once
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// Label values from here on are defect pixels in the measures that need two classes.
constexpr float defect_label = 0.1f;

/// What a picture leaves undefined (no defect pixel, no clean one, a constant) is NaN.
struct MapAgreement {
  double l1 = 0;           ///< mean absolute difference
  double plcc = 0;         ///< Pearson's correlation over pixels
  double srcc = 0;         ///< correlation of the ranks of the means of 8 x 8 pixels
  double auroc = 0;        ///< that a defect pixel's map is above a clean pixel's; ties count half
  double aupr = 0;         ///< average precision
  double iou = 0, f1 = 0;  ///< of the map at 0.5 and the defect pixels
  double hit = 0;          ///< 1 where the map's maximum lies on a defect pixel (the pointing game)
};
/// usage_error for other sizes or channels.
MapAgreement compare_maps(const Image& map, const Image& label);

/// Thresholds k / map_levels, k = 0 .. map_levels - 1.
constexpr int map_levels = 4096;
/// F1 of the pixels from each threshold on; empty where there is no defect pixel.
std::vector<double> f1_by_threshold(const Image& map, const Image& label);
/// The threshold whose sum of F1 is highest.
double best_threshold(const std::vector<double>& f1_sums);

/// Of the map from `threshold` on. Components are 8-connected and of at least `min_area` pixels; one counts when half of it lies on the
/// other's pixels (DeSRA, Xie et al. 2023: precision over the map's components, recall over the label's). NaN where there are none to
/// count.
struct RegionAgreement {
  double f1 = 0, precision = 0, recall = 0;
};
RegionAgreement compare_regions(const Image& map, const Image& label, double threshold, int min_area);

}  // namespace finpercep
