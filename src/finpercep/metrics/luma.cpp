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

ComparedRows::ComparedRows(const Image& image, Channels channels, int crop_border, bool rounded)
    : image_(&image), channels_(channels), crop_border_(crop_border), rounded_(rounded) {
  if (crop_border < 0) throw usage_error(fmt::format("crop_border: expected 0 or more, found {}", crop_border));
  if (width() <= 0 || height() <= 0)
    throw input_error(fmt::format("crop_border: a picture of {}x{} has nothing left without {} pixels at each side", image.width,
                                  image.height, crop_border));
  if (image.channels != 1 && image.channels != 3)
    throw input_error(fmt::format("luma: expected a picture of 1 or 3 channels, found {}", image.channels));
}

void ComparedRows::read(int plane, int y, double* to) const {
  const int count = width();
  const auto row_of = [&](int c) {
    return image_->plane(image_->channels == 1 ? 0 : c) + static_cast<std::size_t>(y + crop_border_) * image_->width + crop_border_;
  };
  if (channels_ == Channels::rgb) {
    const float* from = row_of(plane);
    for (int x = 0; x < count; ++x) to[x] = 255.0 * from[x];
  } else if (channels_ == Channels::yiq && rounded_) {
    // In float32, as it is done there: one pixel in a thousand lies half way between two integers, and this decides which it gets.
    const float *r = row_of(0), *g = row_of(1), *b = row_of(2);
    for (int x = 0; x < count; ++x) to[x] = ((.299f * r[x] + .587f * g[x]) + .114f * b[x]) * 255.0f;
  } else {
    const float *r = row_of(0), *g = row_of(1), *b = row_of(2);
    const std::array<double, 4> w = channels_ == Channels::ycbcr ? studio : full;
    for (int x = 0; x < count; ++x) to[x] = w[0] * r[x] + w[1] * g[x] + w[2] * b[x] + w[3];
  }
  if (rounded_)
    for (int x = 0; x < count; ++x) to[x] = std::nearbyint(to[x]);
}

void require_same_size(const Image& sr, const Image& ref, const std::string& metric) {
  if (sr.width != ref.width || sr.height != ref.height || sr.channels != ref.channels)
    throw input_error(
        fmt::format("{}: expected two pictures of equal size, found {}x{} with {} channels and a reference of {}x{} with {}. "
                    "resize or crop one of them",
                    metric, sr.width, sr.height, sr.channels, ref.width, ref.height, ref.channels));
}

}  // namespace finpercep
