// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/base/error.h"
#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/degrade/noise.h"
#include "finpercep/image/resize.h"

namespace finpercep {
namespace {

constexpr double kPi = std::numbers::pi;

// Equal steps of strength are equal ratios of the parameter: so a step looks about the same anywhere on the scale.
double geometric(double weak, double severe, double strength) { return weak * std::pow(severe / weak, strength); }

Image blur_by(const Image& photo, double sigma) {
  return filter_separable(photo, gaussian_row(2 * static_cast<int>(std::ceil(3 * sigma)) + 1, sigma));
}

Image gaussian_blur(const Image& photo, double strength, Random&) { return blur_by(photo, geometric(0.6, 6, strength)); }

// A line of the given length through the centre, each sample shared between its four nearest taps.
Image motion_blur(const Image& photo, double strength, Random& random) {
  const double length = geometric(2.5, 30, strength), angle = random.uniform(0, kPi);
  const int radius = static_cast<int>(std::ceil(length / 2)) + 1, samples = static_cast<int>(std::ceil(8 * length));
  Kernel kernel;
  kernel.size = 2 * radius + 1;
  kernel.weights.assign(static_cast<std::size_t>(kernel.size) * kernel.size, 0.0f);
  for (int i = 0; i < samples; ++i) {
    const double t = ((i + 0.5) / samples - 0.5) * length, x = radius + t * std::cos(angle), y = radius + t * std::sin(angle);
    const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
    for (int dy = 0; dy < 2; ++dy)
      for (int dx = 0; dx < 2; ++dx) {
        const double share = (dx ? x - x0 : 1 - (x - x0)) * (dy ? y - y0 : 1 - (y - y0));
        kernel.weights[static_cast<std::size_t>(y0 + dy) * kernel.size + x0 + dx] += static_cast<float>(share / samples);
      }
  }
  return filter2d(photo, kernel);
}

Image noise(const Image& photo, double strength, Random& random) {
  Image out = photo;
  const bool gray = random.chance(0.3);
  add_gaussian_noise(out, geometric(4, 60, strength), gray, random);
  return out;
}

Image jpeg(const Image& photo, double strength, Random&) {
  return jpeg_round_trip(photo, static_cast<int>(std::lround(geometric(70, 5, strength))));
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

Image down_up(const Image& photo, double factor, Resize down, Resize up) {
  const int width = std::max(1, static_cast<int>(std::lround(photo.width / factor)));
  const int height = std::max(1, static_cast<int>(std::lround(photo.height / factor)));
  return resize(resize(photo, width, height, down), photo.width, photo.height, up);
}

Image pixelate(const Image& photo, double strength, Random&) {
  return down_up(photo, geometric(1.4, 10, strength), Resize::area, Resize::nearest);
}

Image bicubic_down_up(const Image& photo, double strength, Random&) {
  return down_up(photo, geometric(1.5, 10, strength), Resize::bicubic_aa, Resize::bicubic);
}

Image banding(const Image& photo, double strength, Random&) {
  const float steps = static_cast<float>(std::lround(geometric(40, 3, strength)));
  Image out = photo;
  for (float& value : out.data) value = std::round(value * steps) / steps;
  return out;
}

// A cast of random hue and no luma (BT.601).
Image colour_shift(const Image& photo, double strength, Random& random) {
  const double amount = geometric(0.025, 0.25, strength), hue = random.uniform(0, 2 * kPi);
  const double u = amount * std::cos(hue), v = amount * std::sin(hue);
  const double shift[] = {1.402 * v, -0.344136 * u - 0.714136 * v, 1.772 * u};
  Image out = photo;
  for (int c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < out.plane_size(); ++i) out.plane(c)[i] += static_cast<float>(shift[c]);
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

struct Distortion {
  const char* name;
  Image (*apply)(const Image&, double, Random&);
};
constexpr Distortion kDistortions[] = {
    {"gaussian_blur", gaussian_blur},
    {"motion_blur", motion_blur},
    {"noise", noise},
    {"jpeg", jpeg},
    {"ringing", ringing},
    {"pixelate", pixelate},
    {"bicubic_down_up", bicubic_down_up},
    {"banding", banding},
    {"colour_shift", colour_shift},
    {"grid", grid},
};

}  // namespace

const std::vector<std::string>& distortion_kinds() {
  static const std::vector<std::string> kinds = [] {
    std::vector<std::string> names;
    for (const Distortion& distortion : kDistortions) names.emplace_back(distortion.name);
    return names;
  }();
  return kinds;
}

Image distort(const Image& photo, const std::string& kind, double strength, Random random) {
  if (!(strength >= 0 && strength <= 1))
    throw usage_error(fmt::format("distortion: strength: expected a number in [0, 1], found {}. 0 is barely visible, 1 severe", strength));
  if (photo.channels != 3 || photo.data.empty())
    throw input_error(fmt::format("distortion: photograph: expected 3 channels, found {} x {} with {}. convert it to RGB", photo.width,
                                  photo.height, photo.channels));
  for (const Distortion& distortion : kDistortions)
    if (kind == distortion.name) {
      Image out = distortion.apply(photo, strength, random);
      clamp_unit(out);
      return out;
    }
  const std::string likely = nearest(kind, distortion_kinds());
  throw usage_error(fmt::format("distortion: kind: expected one of {}, found '{}'. {}", fmt::join(distortion_kinds(), ", "), kind,
                                likely.empty() ? "choose one of them" : "did you mean '" + likely + "'?"));
}

}  // namespace finpercep
