// SPDX-License-Identifier: Apache-2.0
// Maps that need no training: what a learnt map must beat, and what it cannot be expected to beat.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

struct MapRival {
  std::string name;
  std::function<Image(const Image& picture, const Image& clean)> map;  ///< 1 channel, of the picture's size, in [0,1]; from any thread
};

/// "constant" (0.5 everywhere); "detail" (mean gradient of the 9 x 9 pixels or so around: where a whole picture is a generator's, its label
/// is largest where there is most to see); "NIQE, local" (no reference: how far the statistics of the 96 x 96 pixels around are from
/// pristine photographs'); "|x - GT|" and "1 - SSIM" (which look at the clean picture: oracles). Their scale is their own, so L1, IoU and
/// F1 at 0.5 say little of them. model_error where NIQE's parameters are absent.
std::vector<MapRival> map_rivals();

}  // namespace finpercep
