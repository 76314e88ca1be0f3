// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/best_of.h"

#include <torch/types.h>

#include <cmath>

#include "finpercep/degrade/blur.h"
#include "finpercep/image/resize.h"

namespace finpercep {

namespace {

// Sigmas of Gaussians, pixels.
constexpr double map_sigma = 8;     // of what maps are compared by: a region is chosen, not a pixel
constexpr double border_sigma = 4;  // of the borders between the chosen regions: no seam, and little of the neighbours in them

}  // namespace

std::vector<uint16_t> best_samples(const std::vector<Image>& maps) {
  TORCH_CHECK(!maps.empty() && maps.size() <= 65536, "best_samples: expected 1 to 65536 maps, found ", maps.size());
  Image lowest = blur_by(maps.front(), map_sigma);
  std::vector<uint16_t> best(lowest.data.size(), 0);
  for (std::size_t i = 1; i < maps.size(); ++i) {
    const Image map = blur_by(maps[i], map_sigma);
    TORCH_CHECK(map.data.size() == best.size(), "best_samples: expected maps of one size");
    for (std::size_t at = 0; at < best.size(); ++at)
      if (map.data[at] < lowest.data[at]) {
        lowest.data[at] = map.data[at];
        best[at] = static_cast<uint16_t>(i);
      }
  }
  return best;
}

Image compose_best(const std::vector<Image>& samples, const std::vector<Image>& maps) {
  TORCH_CHECK(samples.size() == maps.size(), "compose_best: expected a map for each of ", samples.size(), " samples, found ", maps.size());
  const std::vector<uint16_t> best = best_samples(maps);
  const Image& first = samples.front();
  TORCH_CHECK(best.size() == first.plane_size(), "compose_best: expected maps of the samples' size");
  // As steps away from the first sample, the weights need no sum of exactly 1.
  Image out = first;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    TORCH_CHECK(samples[i].data.size() == first.data.size(), "compose_best: expected samples of one size");
    Image weight(first.width, first.height, 1);
    for (std::size_t at = 0; at < best.size(); ++at) weight.data[at] = best[at] == i ? 1.0f : 0.0f;
    weight = blur_by(weight, border_sigma);
    for (int c = 0; c < first.channels; ++c)
      for (std::size_t at = 0; at < best.size(); ++at) out.plane(c)[at] += weight.data[at] * (samples[i].plane(c)[at] - first.plane(c)[at]);
  }
  clamp_unit(out);
  return out;
}

}  // namespace finpercep
