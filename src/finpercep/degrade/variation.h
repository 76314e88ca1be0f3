// SPDX-License-Identifier: Apache-2.0
// Clean photographs that are less crisp than a training set's: what real cameras give is clean too.
#pragma once
#include <string>
#include <vector>

#include "finpercep/base/random.h"
#include "finpercep/base/settings.h"
#include "finpercep/image.h"

namespace finpercep {

/// A share of the clean photographs is softened, grained, JPEG-ed or rescaled before it serves as I_GT.
struct VariationSettings {
  double prob = 0;
  std::vector<std::string> kinds = {"soften", "grain", "jpeg", "rescale"};
  std::array<double, 2> soften = {0.4, 1.2};   ///< Gaussian sigma, pixels
  std::array<double, 2> grain = {1, 6};        ///< sigma, of 255
  std::array<double, 2> jpeg = {75, 95};       ///< quality
  std::array<double, 2> rescale = {1.1, 1.8};  ///< shrunk by this (area) and grown again (bicubic)
  void visit(SettingsVisitor& v);
};

/// The variation that falls to a photograph; "" for none.
std::string draw_variation(const VariationSettings& settings, Random& random);
/// The photograph after one variation, values in [0,1].
Image vary(const Image& photo, const std::string& kind, const VariationSettings& settings, Random& random);

}  // namespace finpercep
