// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/variation.h"

#include <cmath>

#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/degrade/noise.h"
#include "finpercep/image/resize.h"

namespace finpercep {

void VariationSettings::visit(SettingsVisitor& v) {
  v.field("prob", prob, "share of crops whose clean photograph is varied", {.min = 0, .max = 1});
  v.choice("kinds", kinds, "drawn with equal chance", {"soften", "grain", "jpeg", "rescale"});
  v.field("soften", soften, "Gaussian blur, standard deviation in pixels, [low, high]", {.min = 0.1, .max = 10, .rising = true});
  v.field("grain", grain, "Gaussian noise, standard deviation of 255, [low, high]", {.min = 0, .max = 100, .rising = true});
  v.field("jpeg", jpeg, "quality, [low, high]", {.min = 1, .max = 100, .rising = true});
  v.field("rescale", rescale, "factor of shrinking and growing again, [low, high]", {.min = 1, .max = 8, .rising = true});
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
    out = down_up(photo, random.uniform(s.rescale[0], s.rescale[1]), Resize::area, Resize::bicubic);
  }
  clamp_unit(out);
  return out;
}

}  // namespace finpercep
