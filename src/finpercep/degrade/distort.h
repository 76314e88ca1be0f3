// SPDX-License-Identifier: Apache-2.0
// Single distortions of a clean photograph at full size, in the manner of KADIS-700k (Lin et al. 2019): planted defects of known kind and
// strength.
#pragma once
#include <string>
#include <vector>

#include "finpercep/base/random.h"
#include "finpercep/image.h"

namespace finpercep {

/// In this order: gaussian_blur, motion_blur, noise, jpeg, ringing, pixelate, bicubic_down_up, banding, colour_shift, grid; then those that
/// distort_kinds.h lists. 24 of the 25 distortions of KADID-10k (not JPEG 2000) and what super-resolution adds.
const std::vector<std::string>& distortion_kinds();
constexpr std::size_t first_distortions = 10;  ///< "distort" in an FGR set or a reward's samples draws from the first ten, never more

/// Steps of strength for tables, as KADID-10k has them: level 1 is strength 0.1, level 5 is 0.9. usage_error for another level.
constexpr int distortion_levels = 5;
double level_strength(int level);

/// The photograph (3 channels) with one distortion; strength 0 is barely visible, 1 severe. The same size, values in [0,1], not rounded.
/// usage_error for an unknown kind or a strength outside [0,1].
Image distort(const Image& photo, const std::string& kind, double strength, Random random);

/// One of the first `kinds` kinds at any strength, both drawn from `random`.
struct Planted {
  Image picture;
  std::string kind;
};
Planted plant(const Image& photo, std::size_t kinds, Random random);

}  // namespace finpercep
