// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort_kinds.h"

#include <cmath>
#include <vector>

#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/noise.h"
#include "finpercep/image/gray.h"

namespace finpercep::distortion {

Image noise(const Image& photo, double strength, Random& random) {
  Image out = photo;
  const bool gray = random.chance(0.3);
  add_gaussian_noise(out, geometric(4, 60, strength), gray, random);
  return out;
}

Image colour_noise(const Image& photo, double strength, Random& random) {
  Image add(photo.width, photo.height);
  random.fill_normal(add.data.data(), add.data.size());
  const Image grey = to_gray(add);
  const float sigma = static_cast<float>(geometric(8, 110, strength) / 255);
  Image out = photo;
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += sigma * (add.data[i] - grey.data[i % grey.data.size()]);
  return out;
}

// Salt and pepper in single channels.
Image impulse_noise(const Image& photo, double strength, Random& random) {
  const double density = geometric(0.003, 0.15, strength);
  Image out = photo;
  for (float& value : out.data) {
    const double draw = random.uniform();
    if (draw < density / 2) value = 0;
    else if (draw > 1 - density / 2) value = 1;
  }
  return out;
}

Image multiplicative_noise(const Image& photo, double strength, Random& random) {
  std::vector<float> factor(photo.data.size());
  random.fill_normal(factor.data(), factor.size());
  const float sigma = static_cast<float>(geometric(0.04, 0.5, strength));
  Image out = photo;
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] *= 1 + sigma * factor[i];
  return out;
}

Image denoise(const Image& photo, double strength, Random& random) {
  const double sigma = geometric(6, 80, strength);
  Image noisy = photo;
  add_gaussian_noise(noisy, sigma, false, random);
  return guided_filter(noisy, 3, std::pow(1.5 * sigma / 255, 2));
}

Image fake_texture(const Image& photo, double strength, Random& random) {
  Image field(photo.width, photo.height, 1);
  random.fill_normal(field.data.data(), field.data.size());
  const Image fine = blur_by(field, 0.8), coarse = blur_by(field, 1.6), deviation = local_deviation(photo, 2);
  double square = 0;
  for (std::size_t i = 0; i < field.data.size(); ++i) square += std::pow(fine.data[i] - coarse.data[i], 2);
  const float gain =
      static_cast<float>(geometric(0.25, 2.5, strength) / std::sqrt(square / static_cast<double>(field.data.size()) + 1e-12));
  Image out = photo;
  for (int c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < field.data.size(); ++i) out.plane(c)[i] += gain * deviation.data[i] * (fine.data[i] - coarse.data[i]);
  return out;
}

}  // namespace finpercep::distortion
