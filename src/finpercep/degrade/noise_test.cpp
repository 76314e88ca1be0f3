// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/noise.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <doctest/doctest.h>

using namespace finpercep;

namespace {

// Approx(x).epsilon(e) allows e * (1 + |x|): small numbers are compared as ratios to 1.

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments_of_difference(const Image& a, const Image& b, int c, int x_begin, int x_end) {
  double sum = 0, square = 0, count = 0;
  for (int y = 0; y < a.height; ++y)
    for (int x = x_begin; x < x_end; ++x) {
      const double d = static_cast<double>(a.at(c, y, x)) - b.at(c, y, x);
      sum += d;
      square += d * d;
      ++count;
    }
  return {sum / count, square / count - (sum / count) * (sum / count)};
}

// Column x has the 8-bit level x: all 256 levels occur, so vals is 256.
Image ramp(int height) {
  Image image(256, height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < 256; ++x) image.at(c, y, x) = static_cast<float>(x) / 255.0f;
  return image;
}

double channel_correlation(const Image& noisy, const Image& clean) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < clean.plane_size(); ++i) {
    const double a = noisy.plane(0)[i] - clean.plane(0)[i], b = noisy.plane(2)[i] - clean.plane(2)[i];
    ab += a * b;
    aa += a * a;
    bb += b * b;
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("Gaussian noise has the asked mean and deviation") {
  const Image clean(200, 200, 3, 0.5f);
  for (const bool gray : {false, true}) {
    Image noisy = clean;
    Random random(1, "noise test", gray);
    add_gaussian_noise(noisy, 20, gray, random);
    for (int c = 0; c < 3; ++c) {
      const Moments m = moments_of_difference(noisy, clean, c, 0, 200);
      CHECK(std::abs(m.mean) < 5 * 20.0 / 255 / 200);
      CHECK(std::sqrt(m.variance) * 255 / 20 == doctest::Approx(1).epsilon(0.01));
    }
    if (gray) CHECK(channel_correlation(noisy, clean) > 0.9999);
    else CHECK(std::abs(channel_correlation(noisy, clean)) < 0.03);
  }
}

TEST_CASE("Poisson noise follows the Poisson distribution: one level, vals = 1") {
  const double mean = 128 / 255.0;
  const Image clean(300, 300, 3, static_cast<float>(mean));
  Image noisy = clean;
  Random random(2, "noise test");
  add_poisson_noise(noisy, 0.05, false, random);  // 10 photons would be needed to reach 1, where values are clipped
  std::array<double, 6> count{};
  for (const float value : noisy.data) {
    const double k = (value - mean) / 0.05 + mean;
    REQUIRE(std::abs(k - std::round(k)) < 1e-4);  // whole photons
    if (std::round(k) < 6) ++count[static_cast<std::size_t>(std::round(k))];
  }
  double expected = std::exp(-mean) * noisy.data.size(), chi_square = 0;
  for (int k = 0; k < 6; ++k) {
    chi_square += (count[k] - expected) * (count[k] - expected) / expected;
    expected *= mean / (k + 1);
  }
  CHECK(chi_square < 25);  // 6 degrees of freedom: 0.9997
}

TEST_CASE("Poisson noise has mean 0 and variance scale^2 v / vals at every level") {
  const Image clean = ramp(400);
  const double scale = 2;
  Image noisy = clean;
  Random random(3, "noise test");
  add_poisson_noise(noisy, scale, false, random);
  for (int level = 64; level < 160; level += 16) {  // where nothing is clipped: 4 deviations from either end
    double variance = 0, mean = 0;
    for (int c = 0; c < 3; ++c) {
      const Moments m = moments_of_difference(noisy, clean, c, level, level + 16);
      mean += m.mean / 3;
      variance += m.variance / 3;
    }
    const double expected = scale * scale * (level + 7.5) / 255 / 256;
    CHECK(std::abs(mean) < 5 * std::sqrt(expected / (3 * 16 * 400)));
    CHECK(variance / expected == doctest::Approx(1).epsilon(0.04));
  }
  for (int y = 0; y < 400; ++y) REQUIRE(noisy.at(0, y, 0) == 0.0f);  // black receives no photon
}

TEST_CASE("Poisson levels are counted in powers of two") {
  Image clean(200, 200);  // five levels, so vals = 8
  for (std::size_t i = 0; i < clean.data.size(); ++i) clean.data[i] = static_cast<float>(100 + i % 5) / 255.0f;
  Image noisy = clean;
  Random random(4, "noise test");
  add_poisson_noise(noisy, 0.3, false, random);
  const Moments m = moments_of_difference(noisy, clean, 1, 0, 200);
  CHECK(m.variance / (0.3 * 0.3 * 102 / 255 / 8) == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("gray Poisson noise is the same in all channels and follows the luma") {
  Image clean(200, 200);
  const float rgb[] = {200 / 255.0f, 100 / 255.0f, 50 / 255.0f};
  for (int c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < clean.plane_size(); ++i) clean.plane(c)[i] = rgb[c];
  Image noisy = clean;
  Random random(5, "noise test");
  add_poisson_noise(noisy, 0.02, true, random);
  const double luma = std::round(0.2989 * 200 + 0.587 * 100 + 0.114 * 50) / 255;
  double worst = 0;
  for (std::size_t i = 0; i < clean.plane_size(); ++i)
    for (int c = 1; c < 3; ++c) worst = std::max(worst, std::abs((0.0 + noisy.plane(c)[i] - rgb[c]) - (0.0 + noisy.plane(0)[i] - rgb[0])));
  CHECK(worst < 1e-6);
  CHECK(moments_of_difference(noisy, clean, 0, 0, 200).variance / (0.02 * 0.02 * luma) == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("noise stays in [0,1]") {
  for (const bool poisson : {false, true}) {
    Image image = ramp(20);
    Random random(6, "noise test");
    poisson ? add_poisson_noise(image, 20, false, random) : add_gaussian_noise(image, 200, false, random);
    float low = 1, high = 0;
    for (const float value : image.data) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
    CHECK(low == 0);
    CHECK(high == 1);
  }
}
