// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/luma.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr std::array<double, 4> studio = {65.481, 128.553, 24.966, 16}, full = {255 * .299, 255 * .587, 255 * .114, 0};

}  // namespace

Planes planes_of(const Image& image, Channels channels, int crop_border, bool rounded) {
  if (crop_border < 0) throw usage_error(fmt::format("crop_border: expected 0 or more, found {}", crop_border));
  Planes out{image.width - 2 * crop_border, image.height - 2 * crop_border, {}};
  if (out.width <= 0 || out.height <= 0)
    throw input_error(fmt::format("crop_border: a picture of {}x{} has nothing left without {} pixels at each side", image.width,
                                  image.height, crop_border));
  if (channels != Channels::rgb && image.channels != 3)
    throw input_error(fmt::format("luma: expected a picture of 3 channels, found {}", image.channels));

  const std::size_t size = static_cast<std::size_t>(out.width) * out.height;
  const std::size_t count = channels == Channels::rgb ? image.channels : 1;
  out.planes.assign(count, std::vector<double>(size));
  const auto row_of = [&](int c, int y) { return image.plane(c) + static_cast<std::size_t>(y + crop_border) * image.width + crop_border; };
  for (std::size_t p = 0; p < count; ++p) {
    for (int y = 0; y < out.height; ++y) {
      double* to = out.planes[p].data() + static_cast<std::size_t>(y) * out.width;
      if (channels == Channels::rgb) {
        const float* from = row_of(static_cast<int>(p), y);
        for (int x = 0; x < out.width; ++x) to[x] = 255.0 * from[x];
      } else {
        const float *r = row_of(0, y), *g = row_of(1, y), *b = row_of(2, y);
        const std::array<double, 4>& w = channels == Channels::ycbcr ? studio : full;
        for (int x = 0; x < out.width; ++x) to[x] = w[0] * r[x] + w[1] * g[x] + w[2] * b[x] + w[3];
      }
      if (rounded)
        for (int x = 0; x < out.width; ++x) to[x] = std::nearbyint(to[x]);
    }
  }
  return out;
}

void require_same_size(const Image& sr, const Image& ref, const std::string& metric) {
  if (sr.width != ref.width || sr.height != ref.height || sr.channels != ref.channels)
    throw input_error(
        fmt::format("{}: expected two pictures of equal size, found {}x{} with {} channels and a reference of {}x{} with {}. "
                    "resize or crop one of them",
                    metric, sr.width, sr.height, sr.channels, ref.width, ref.height, ref.channels));
}

}  // namespace finpercep
