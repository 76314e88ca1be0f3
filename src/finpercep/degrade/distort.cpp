// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/base/error.h"
#include "finpercep/degrade/distort_kinds.h"
#include "finpercep/image/resize.h"

namespace finpercep {
namespace {

struct Distortion {
  const char* name;
  Image (*apply)(const Image&, double, Random&);
};
constexpr Distortion kDistortions[] = {
    {"gaussian_blur", distortion::gaussian_blur},
    {"motion_blur", distortion::motion_blur},
    {"noise", distortion::noise},
    {"jpeg", distortion::jpeg},
    {"ringing", distortion::ringing},
    {"pixelate", distortion::pixelate},
    {"bicubic_down_up", distortion::bicubic_down_up},
    {"banding", distortion::banding},
    {"colour_shift", distortion::colour_shift},
    {"grid", distortion::grid},
    {"lens_blur", distortion::lens_blur},
    {"aliasing", distortion::aliasing},
    {"oversmooth", distortion::oversmooth},
    {"painting", distortion::painting},
    {"colour_noise", distortion::colour_noise},
    {"impulse_noise", distortion::impulse_noise},
    {"multiplicative_noise", distortion::multiplicative_noise},
    {"denoise", distortion::denoise},
    {"fake_texture", distortion::fake_texture},
    {"colour_diffusion", distortion::colour_diffusion},
    {"channel_shift", distortion::channel_shift},
    {"colour_quantise", distortion::colour_quantise},
    {"saturation_hsv", distortion::saturation_hsv},
    {"saturation_lab", distortion::saturation_lab},
    {"brighten", distortion::brighten},
    {"darken", distortion::darken},
    {"mean_shift", distortion::mean_shift},
    {"contrast", distortion::contrast},
    {"checkerboard", distortion::checkerboard},
    {"sharpen", distortion::sharpen},
    {"halo", distortion::halo},
    {"jitter", distortion::jitter},
    {"warp", distortion::warp},
    {"patch_shift", distortion::patch_shift},
    {"colour_block", distortion::colour_block},
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

double level_strength(int level) {
  if (level < 1 || level > distortion_levels)
    throw usage_error(fmt::format("distortion: level: expected 1 to {}, found {}. 1 is the weakest", distortion_levels, level));
  return (level - 0.5) / distortion_levels;
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

Planted plant(const Image& photo, std::size_t kinds, Random random) {
  const std::string& kind = distortion_kinds()[random.integer(0, static_cast<int64_t>(kinds) - 1)];
  const double strength = random.uniform();
  return {distort(photo, kind, strength, random), kind};
}

}  // namespace finpercep
