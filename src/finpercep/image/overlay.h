// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// A perceptually uniform colour map (control points of matplotlib's "inferno", CC0), value in [0,1] -> RGB in [0,1].
std::array<float, 3> heat_colour(float value);
/// A 1-channel map as a heat picture.
Image heat_map(const Image& map);
/// The photograph in gray with the map's colours blended over it where it is high: out = photo + map * alpha * (colour - photo).
Image overlay(const Image& photo, const Image& map, float alpha = 0.85f);

/// A connected region of `map >= threshold` (8-connected), largest mean*area first.
struct Region {
  int x = 0, y = 0, width = 0, height = 0;  ///< bounding box, pixels
  int area = 0;                             ///< pixels
  float mean = 0, max = 0;                  ///< severity inside
  std::vector<std::array<int, 2>> polygon;  ///< outer boundary, pixel corners, clockwise, closed implicitly
};
std::vector<Region> find_regions(const Image& map, float threshold, int min_area);

}  // namespace finpercep
