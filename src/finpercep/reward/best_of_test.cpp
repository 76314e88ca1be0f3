// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/best_of.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/image/test_pictures.h"

using namespace finpercep;

namespace {

constexpr int width = 96, height = 64, middle = width / 2;

// 1 in the half of the picture where the sample is broken.
Image half_map(bool left) {
  Image map(width, height, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) map.at(0, y, x) = (x < middle) == left ? 0.8f : 0.1f;
  return map;
}

// A texture whose phase and mean belong to the sample, as details and tone of two draws do.
Image texture(double phase, double mean) {
  Image image(width, height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) image.at(c, y, x) = static_cast<float>(mean + 0.05 * std::sin(0.9 * x + 0.3 * y + c + phase));
  return image;
}

// Mean step from column x to x + 1.
double step(const Image& image, int x) {
  double total = 0;
  for (int y = 0; y < height; ++y) total += std::abs(image.at(0, y, x + 1) - image.at(0, y, x));
  return total / height;
}

}  // namespace

TEST_CASE("every part comes from the sample whose map is lowest there") {
  const Image a = texture(0, 0.4), b = texture(2, 0.5);
  const Image out = compose_best({a, b}, {half_map(true), half_map(false)});
  for (int y = 0; y < height; y += 7)
    for (int x = 0; x < width; ++x) {
      if (std::abs(x - middle) < 13) continue;  // feathered
      CHECK(out.at(1, y, x) == doctest::Approx((x < middle ? b : a).at(1, y, x)).epsilon(1e-5));
    }
  const Image swapped = compose_best({b, a}, {half_map(false), half_map(true)});
  for (std::size_t i = 0; i < out.data.size(); ++i) CHECK(std::abs(out.data[i] - swapped.data[i]) < 1e-6f);
}

TEST_CASE("three samples: a lone pixel of a map does not choose, equals go to the first") {
  Image speck = half_map(true);
  speck.at(0, 30, 20) = 0;
  const std::vector<uint16_t> best = best_samples({speck, half_map(false), half_map(false)});
  CHECK(best[30 * width + 20] == 1);
  CHECK(best[30 * width + 80] == 0);
  for (uint16_t i : best) CHECK(i < 2);
}

TEST_CASE("one sample, identical samples and identical maps give the first sample bit for bit") {
  const Image a = texture(1, 0.5), b = texture(2, 0.5);
  CHECK(compose_best({a}, {half_map(true)}).data == a.data);
  CHECK(compose_best({a, a, a}, {half_map(true), half_map(false), half_map(true)}).data == a.data);
  CHECK(compose_best({a, b}, {half_map(true), half_map(true)}).data == a.data);
}

TEST_CASE("no seam: the border's gradient is no higher than the samples' own") {
  const Image a = texture(0, 0.4), b = texture(2, 0.5);  // cut hard, the border would be a step of 0.1
  const Image out = compose_best({a, b}, {half_map(true), half_map(false)});
  double border = 0, own = 0, elsewhere = 0;
  for (int x = middle - 6; x < middle + 6; ++x) {
    border = std::max(border, step(out, x));
    own = std::max({own, step(a, x), step(b, x)});
  }
  for (int x = 2; x < middle - 20; ++x) elsewhere = std::max(elsewhere, step(out, x));
  CHECK(border <= own * 1.05);
  CHECK(border <= elsewhere * 1.05);
  const std::vector<uint16_t> best = best_samples({half_map(true), half_map(false)});
  Image cut = a;
  for (int c = 0; c < 3; ++c)
    for (std::size_t at = 0; at < best.size(); ++at)
      if (best[at] == 1) cut.plane(c)[at] = b.plane(c)[at];
  CHECK(step(cut, middle - 1) > elsewhere * 1.5);  // the measure sees a hard cut
}
