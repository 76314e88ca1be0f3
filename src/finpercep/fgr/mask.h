// SPDX-License-Identifier: Apache-2.0
// Random region masks, the first half of FGR-30k's masks (semantic_mask.h has those that follow what a picture shows).
#pragma once
#include <string>
#include <vector>

#include "finpercep/base/random.h"
#include "finpercep/base/settings.h"
#include "finpercep/image.h"

namespace finpercep {

struct MaskSettings {
  std::vector<std::string> kinds = {"brush", "box", "ellipse", "noise", "grid"};
  std::array<double, 2> area = {0.05, 0.6};  ///< share of the picture, drawn log-uniform
  std::array<double, 2> feather = {0, 4};    ///< standard deviation of the soft edge, pixels; 0 is a hard edge
  double feather_prob = 0.5;
  double semantic_prob = 0;  ///< share of masks that follow what the picture shows
  std::vector<std::string> segments =
      {};  ///< folders of label maps, SAM's JSON or mask folders, by the photo's stem; without: clustered DINO tokens
  void visit(SettingsVisitor& v);
};

/// 1-channel map in [0,1] whose area is near a random draw from the range; `kind` is one of MaskSettings::kinds.
Image random_mask(const std::string& kind, int width, int height, const MaskSettings& settings, Random& random);

/// What every mask has in common: the area is drawn log-uniform from the range, and some edges are softened.
double draw_area(const MaskSettings& settings, Random& random);
void feather(Image& mask, const MaskSettings& settings, Random& random);
/// The share of the picture that a mask has: its mean.
double filled(const Image& mask);

}  // namespace finpercep
