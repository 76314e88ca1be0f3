// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/variation.h"

#include <fmt/format.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/degrade/noise.h"
#include "finpercep/image/resize.h"

namespace finpercep {

void VariationSettings::visit(SettingsVisitor& v) {
  v.field("prob", prob, "share of crops whose clean photograph is varied", {.min = 0, .max = 1});
  v.field("kinds", kinds, "drawn with equal chance: soften, grain, jpeg, rescale");
  v.field("soften", soften, "Gaussian blur, standard deviation in pixels, [low, high]", {.min = 0.1, .max = 10});
  v.field("grain", grain, "Gaussian noise, standard deviation of 255, [low, high]", {.min = 0, .max = 100});
  v.field("jpeg", jpeg, "quality, [low, high]", {.min = 1, .max = 100});
  v.field("rescale", rescale, "factor of shrinking and growing again, [low, high]", {.min = 1, .max = 8});
}

void check_variation_settings(const VariationSettings& s, const std::string& key) {
  for (const std::string& kind : s.kinds)
    if (kind != "soften" && kind != "grain" && kind != "jpeg" && kind != "rescale")
      throw usage_error(fmt::format("{}.kinds: expected soften, grain, jpeg or rescale, found '{}'", key, kind));
  if (s.prob > 0 && s.kinds.empty()) throw usage_error(key + ".kinds: expected at least one of soften, grain, jpeg, rescale; found none");
  for (const auto& [name, range] : {std::pair<const char*, const std::vector<double>&>{"soften", s.soften},
                                    {"grain", s.grain},
                                    {"jpeg", s.jpeg},
                                    {"rescale", s.rescale}})
    if (range.size() != 2 || range[0] > range[1]) throw usage_error(fmt::format("{}.{}: expected [low, high] with low <= high", key, name));
}

std::string draw_variation(const VariationSettings& s, Random& random) {
  return random.chance(s.prob) ? s.kinds[random.integer(0, static_cast<int64_t>(s.kinds.size()) - 1)] : "";
}

Image vary(const Image& photo, const std::string& kind, const VariationSettings& s, Random& random) {
  Image out = photo;
  if (kind == "soften") {
    out = blur_by(photo, random.uniform(s.soften[0], s.soften[1]));
  } else if (kind == "grain") {
    const double sigma = random.uniform(s.grain[0], s.grain[1]);
    add_gaussian_noise(out, sigma, random.chance(0.5), random);
  } else if (kind == "jpeg") {
    out = jpeg_round_trip(photo, static_cast<int>(std::lround(random.uniform(s.jpeg[0], s.jpeg[1]))));
  } else {
    const double factor = random.uniform(s.rescale[0], s.rescale[1]);
    const Image small = resize(photo, static_cast<int>(std::lround(photo.width / factor)),
                               static_cast<int>(std::lround(photo.height / factor)), Resize::area);
    out = resize(small, photo.width, photo.height, Resize::bicubic);
  }
  clamp_unit(out);
  return out;
}

}  // namespace finpercep
