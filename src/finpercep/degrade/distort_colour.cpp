// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort_kinds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "finpercep/degrade/blur.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/image/gray.h"
#include "finpercep/image/lab.h"

namespace finpercep::distortion {

Image jpeg(const Image& photo, double strength, Random&) {
  return jpeg_round_trip(photo, static_cast<int>(std::lround(geometric(70, 5, strength))));
}

Image banding(const Image& photo, double strength, Random&) {
  const float steps = static_cast<float>(std::lround(geometric(40, 3, strength)));
  Image out = photo;
  for (float& value : out.data) value = std::round(value * steps) / steps;
  return out;
}

// A cast of random hue and no luma (BT.601).
Image colour_shift(const Image& photo, double strength, Random& random) {
  const double amount = geometric(0.025, 0.25, strength), hue = random.uniform(0, 2 * std::numbers::pi);
  const double u = amount * std::cos(hue), v = amount * std::sin(hue);
  const double shift[] = {1.402 * v, -0.344136 * u - 0.714136 * v, 1.772 * u};
  Image out = photo;
  for (int c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < out.plane_size(); ++i) out.plane(c)[i] += static_cast<float>(shift[c]);
  return out;
}

Image colour_diffusion(const Image& photo, double strength, Random&) {
  const Image grey = to_gray(photo);
  Image chroma = photo;
  for (std::size_t i = 0; i < chroma.data.size(); ++i) chroma.data[i] -= grey.data[i % grey.data.size()];
  chroma = blur_by(chroma, geometric(1.5, 24, strength));
  for (std::size_t i = 0; i < chroma.data.size(); ++i) chroma.data[i] += grey.data[i % grey.data.size()];
  return chroma;
}

Image channel_shift(const Image& photo, double strength, Random& random) {
  const double length = geometric(0.5, 7, strength), angle = random.uniform(0, 2 * std::numbers::pi);
  const double dx = length * std::cos(angle), dy = length * std::sin(angle);
  Image out = photo;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      out.at(0, y, x) = sample(photo, 0, x + dx, y + dy);
      out.at(2, y, x) = sample(photo, 2, x - dx, y - dy);
    }
  return out;
}

namespace {

// Colours that one palette entry stands for.
struct Box {
  std::vector<int> pixels;
  std::array<double, 3> mean{};
  int axis = 0;       // of the greatest spread
  double spread = 0;  // sum of squares about the mean along it
};

Box make_box(const Image& photo, std::vector<int> pixels) {
  Box box;
  for (int c = 0; c < 3; ++c) {
    double sum = 0, square = 0;
    for (const int i : pixels) {
      const double value = photo.plane(c)[i];
      sum += value;
      square += value * value;
    }
    box.mean[c] = sum / static_cast<double>(pixels.size());
    const double spread = square - sum * box.mean[c];
    if (spread > box.spread) {
      box.spread = spread;
      box.axis = c;
    }
  }
  box.pixels = std::move(pixels);
  return box;
}

}  // namespace

// The palette comes of halving, again and again at its mean, the box of colours that spreads most (Wan et al. 1988, simplified).
Image colour_quantise(const Image& photo, double strength, Random&) {
  const auto colours = static_cast<std::size_t>(std::lround(geometric(64, 4, strength)));
  std::vector<int> all(photo.plane_size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  std::vector<Box> boxes = {make_box(photo, std::move(all))};
  while (boxes.size() < colours) {
    Box& widest = *std::max_element(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.spread < b.spread; });
    const float* plane = photo.plane(widest.axis);
    const auto middle =
        std::partition(widest.pixels.begin(), widest.pixels.end(), [&](int i) { return plane[i] < widest.mean[widest.axis]; });
    std::vector<int> low(widest.pixels.begin(), middle), high(middle, widest.pixels.end());
    if (low.empty() || high.empty()) break;  // every colour has its entry
    widest = make_box(photo, std::move(low));
    boxes.push_back(make_box(photo, std::move(high)));
  }
  Image out = photo;
  for (const Box& box : boxes)
    for (int c = 0; c < 3; ++c)
      for (const int i : box.pixels) out.plane(c)[i] = static_cast<float>(box.mean[c]);
  return out;
}

// In HSV with V and H fixed, x -> V - (V - x) s scales S by s.
Image saturation_hsv(const Image& photo, double strength, Random&) {
  const float keep = static_cast<float>(1 - geometric(0.12, 1, strength));
  Image out = photo;
  for (std::size_t i = 0; i < out.plane_size(); ++i) {
    const float value = std::max({photo.plane(0)[i], photo.plane(1)[i], photo.plane(2)[i]});
    for (int c = 0; c < 3; ++c) out.plane(c)[i] = value - (value - photo.plane(c)[i]) * keep;
  }
  return out;
}

namespace {

template <typename Change>
Image change_lab(const Image& photo, const Change& change) {
  Image out = photo;
  for (std::size_t i = 0; i < out.plane_size(); ++i) {
    Triple lab = lab_of({photo.plane(0)[i], photo.plane(1)[i], photo.plane(2)[i]});
    change(lab);
    const Triple rgb = rgb_of(lab);
    for (int c = 0; c < 3; ++c) out.plane(c)[i] = static_cast<float>(rgb[c]);
  }
  return out;
}

// The ends of the scale stay.
Image bend_lightness(const Image& photo, double exponent) {
  return change_lab(photo, [&](Triple& lab) { lab[0] = 100 * std::pow(std::clamp(lab[0] / 100, 0.0, 1.0), exponent); });
}

}  // namespace

Image saturation_lab(const Image& photo, double strength, Random&) {
  const double gain = 1 + geometric(0.15, 3, strength);
  return change_lab(photo, [&](Triple& lab) {
    lab[1] *= gain;
    lab[2] *= gain;
  });
}

Image brighten(const Image& photo, double strength, Random&) { return bend_lightness(photo, 1 / (1 + geometric(0.08, 1.6, strength))); }
Image darken(const Image& photo, double strength, Random&) { return bend_lightness(photo, 1 + geometric(0.08, 1.6, strength)); }

Image mean_shift(const Image& photo, double strength, Random& random) {
  const float add = static_cast<float>(geometric(0.03, 0.3, strength) * (random.chance(0.5) ? 1 : -1));
  Image out = photo;
  for (float& value : out.data) value += add;
  return out;
}

// About the mean luma.
Image contrast(const Image& photo, double strength, Random& random) {
  const double amount = 1 + geometric(0.12, 2.5, strength);
  const float gain = static_cast<float>(random.chance(0.5) ? amount : 1 / amount);
  double mean = 0;
  for (const float value : to_gray(photo).data) mean += value / static_cast<double>(photo.plane_size());
  Image out = photo;
  for (float& value : out.data) value = static_cast<float>(mean) + gain * (value - static_cast<float>(mean));
  return out;
}

}  // namespace finpercep::distortion
