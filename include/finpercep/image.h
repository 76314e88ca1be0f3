// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <vector>

namespace finpercep {

/// A photograph or a map: planar float32, values in [0,1], RGB when `channels` is 3 and gray or map when it is 1.
/// Element (c, y, x) lies at `data[(c * height + y) * width + x]`, the layout of a contiguous C x H x W tensor.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;
  std::vector<float> data;

  Image() = default;
  Image(int width_px, int height_px, int channel_count = 3, float fill = 0.0f)
      : width(width_px),
        height(height_px),
        channels(channel_count),
        data(static_cast<std::size_t>(width_px) * height_px * channel_count, fill) {}

  std::size_t plane_size() const { return static_cast<std::size_t>(width) * height; }
  float* plane(int c) { return data.data() + c * plane_size(); }
  const float* plane(int c) const { return data.data() + c * plane_size(); }
  float& at(int c, int y, int x) { return plane(c)[static_cast<std::size_t>(y) * width + x]; }
  float at(int c, int y, int x) const { return plane(c)[static_cast<std::size_t>(y) * width + x]; }
};

}  // namespace finpercep
