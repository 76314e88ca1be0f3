// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort_kinds.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "finpercep/degrade/blur.h"
#include "finpercep/image/resize.h"

namespace finpercep::distortion {

namespace {

constexpr double kPi = std::numbers::pi;

Image unsharp(const Image& photo, double sigma, double amount) {
  const Image smooth = blur_by(photo, sigma);
  Image out = photo;
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += static_cast<float>(amount) * (photo.data[i] - smooth.data[i]);
  return out;
}

// Each pixel from the place (dx, dy) away; one plane each.
Image displace(const Image& photo, const float* dx, const float* dy, double amplitude) {
  Image out = photo;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const std::size_t i = static_cast<std::size_t>(y) * out.width + x;
      for (int c = 0; c < 3; ++c) out.at(c, y, x) = sample(photo, c, x + amplitude * dx[i], y + amplitude * dy[i]);
    }
  return out;
}

}  // namespace

float sample(const Image& photo, int channel, double x, double y) {
  x = std::clamp(x, 0.0, photo.width - 1.0);
  y = std::clamp(y, 0.0, photo.height - 1.0);
  const int x0 = static_cast<int>(x), y0 = static_cast<int>(y), x1 = std::min(x0 + 1, photo.width - 1),
            y1 = std::min(y0 + 1, photo.height - 1);
  const float u = static_cast<float>(x - x0), v = static_cast<float>(y - y0);
  const float top = photo.at(channel, y0, x0) * (1 - u) + photo.at(channel, y0, x1) * u;
  return top * (1 - v) + (photo.at(channel, y1, x0) * (1 - u) + photo.at(channel, y1, x1) * u) * v;
}

// An ideal low pass leaves oscillations beside edges; sharpening afterwards makes them overshoot.
Image ringing(const Image& photo, double strength, Random& random) {
  KernelSpec spec;
  spec.kind = KernelKind::sinc;
  spec.omega = geometric(0.8 * kPi, 0.3 * kPi, strength);
  Image out = filter2d(photo, make_kernel(spec));
  const Image smooth = blur_by(out, random.uniform(1.2, 2.0));
  const float amount = static_cast<float>(geometric(0.4, 3, strength));
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += amount * (out.data[i] - smooth.data[i]);
  return out;
}

// The periodic pattern that transposed convolutions and patch decoders leave: a lattice of period 2, 4 or 8 with harmonics.
Image grid(const Image& photo, double strength, Random& random) {
  const int period = 2 << random.integer(0, 2);
  const int phase_x = static_cast<int>(random.integer(0, period - 1)), phase_y = static_cast<int>(random.integer(0, period - 1));
  std::vector<float> cell(static_cast<std::size_t>(period) * period);
  random.fill_normal(cell.data(), cell.size());
  float mean = 0, square = 0;
  for (const float value : cell) mean += value / static_cast<float>(cell.size());
  for (float& value : cell) {
    value -= mean;
    square += value * value / static_cast<float>(cell.size());
  }
  const float gain = static_cast<float>(geometric(0.012, 0.15, strength)) / std::sqrt(square);
  Image out = photo;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) {
        const int row = (y + phase_y) % period, column = (x + phase_x) % period;
        out.at(c, y, x) += gain * cell[static_cast<std::size_t>(row) * period + column];
      }
  return out;
}

// One field for the three channels, as strong as the detail that it lies on.
Image checkerboard(const Image& photo, double strength, Random& random) {
  const int cell = 1 << random.integer(0, 1);
  const float gain = static_cast<float>(geometric(0.12, 1.8, strength));
  const Image deviation = local_deviation(photo, 3);
  Image out = photo;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) out.at(c, y, x) += ((x / cell + y / cell) % 2 ? gain : -gain) * deviation.at(0, y, x);
  return out;
}

Image sharpen(const Image& photo, double strength, Random&) { return unsharp(photo, 1, geometric(0.4, 8, strength)); }

Image halo(const Image& photo, double strength, Random& random) {
  return unsharp(photo, random.uniform(4, 9), geometric(0.12, 2, strength));
}

Image jitter(const Image& photo, double strength, Random& random) {
  Image shift(photo.width, photo.height, 2);
  random.fill_normal(shift.data.data(), shift.data.size());
  return displace(photo, shift.plane(0), shift.plane(1), geometric(0.25, 3, strength));
}

Image warp(const Image& photo, double strength, Random& random) {
  const int cell = static_cast<int>(random.integer(12, 32));
  Image shift(photo.width / cell + 2, photo.height / cell + 2, 2);
  random.fill_normal(shift.data.data(), shift.data.size());
  shift = resize(shift, photo.width, photo.height, Resize::bicubic);
  return displace(photo, shift.plane(0), shift.plane(1), geometric(0.5, 7, strength));
}

// Later squares may hide earlier ones; the first ones are the same at any strength.
Image patch_shift(const Image& photo, double strength, Random& random) {
  const int side = std::min({16, photo.width, photo.height}), reach = 2 * side;
  const double area = static_cast<double>(photo.width) * photo.height / (side * side);
  const int count = static_cast<int>(std::ceil(geometric(0.02, 0.6, strength) * area));
  Image out = photo;
  for (int i = 0; i < count; ++i) {
    const int x0 = static_cast<int>(random.integer(0, photo.width - side)), y0 = static_cast<int>(random.integer(0, photo.height - side));
    const int from_x = std::clamp(x0 + static_cast<int>(random.integer(-reach, reach)), 0, photo.width - side);
    const int from_y = std::clamp(y0 + static_cast<int>(random.integer(-reach, reach)), 0, photo.height - side);
    for (int c = 0; c < 3; ++c)
      for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x) out.at(c, y0 + y, x0 + x) = photo.at(c, from_y + y, from_x + x);
  }
  return out;
}

// More squares, and less of the photograph seen through them.
Image colour_block(const Image& photo, double strength, Random& random) {
  const int side = std::max(1, std::min(photo.width, photo.height) / 12), count = static_cast<int>(std::ceil(geometric(2, 20, strength)));
  const float cover = static_cast<float>(geometric(0.15, 1, strength));
  Image out = photo;
  for (int i = 0; i < count; ++i) {
    const int x0 = static_cast<int>(random.integer(0, photo.width - side)), y0 = static_cast<int>(random.integer(0, photo.height - side));
    for (int c = 0; c < 3; ++c) {
      const float value = static_cast<float>(random.uniform());
      for (int y = y0; y < y0 + side; ++y)
        for (int x = x0; x < x0 + side; ++x) out.at(c, y, x) = photo.at(c, y, x) + cover * (value - photo.at(c, y, x));
    }
  }
  return out;
}

}  // namespace finpercep::distortion
