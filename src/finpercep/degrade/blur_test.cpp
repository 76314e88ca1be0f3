// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/blur.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <doctest/doctest.h>

#include "finpercep/base/random.h"

using namespace finpercep;

namespace {

Image random_image(int width, int height, int channels, uint64_t item) {
  Image image(width, height, channels);
  Random random(7, "blur test", item);
  for (float& value : image.data) value = static_cast<float>(random.uniform());
  return image;
}

// reflect-101 written as the walk of a ball between two walls.
int bounce(int i, int n) {
  while (i < 0 || i >= n) {
    if (n == 1) return 0;
    i = i < 0 ? -i : 2 * (n - 1) - i;
  }
  return i;
}

Image plain_filter(const Image& image, int size, const std::vector<double>& weights) {
  Image out(image.width, image.height, image.channels);
  for (int c = 0; c < image.channels; ++c)
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x) {
        double sum = 0;
        for (int v = 0; v < size; ++v)
          for (int u = 0; u < size; ++u)
            sum += weights[v * size + u] * image.at(c, bounce(y + v - size / 2, image.height), bounce(x + u - size / 2, image.width));
        out.at(c, y, x) = static_cast<float>(sum);
      }
  return out;
}

double max_difference(const Image& a, const Image& b) {
  REQUIRE(a.data.size() == b.data.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a.data[i]) - b.data[i]));
  return worst;
}

std::vector<double> plain_gaussian(int size, double sigma) {
  std::vector<double> weights;
  double sum = 0;
  for (int y = -(size / 2); y <= size / 2; ++y)
    for (int x = -(size / 2); x <= size / 2; ++x) {
      weights.push_back(std::exp(-(x * x + y * y) / (2 * sigma * sigma)));
      sum += weights.back();
    }
  for (double& weight : weights) weight /= sum;
  return weights;
}

}  // namespace

TEST_CASE("every kernel sums to 1 and is the same after half a turn") {
  for (int kind = 0; kind <= static_cast<int>(KernelKind::sinc); ++kind)
    for (const int size : {1, 7, 13, 21}) {
      CAPTURE(kind);
      CAPTURE(size);
      KernelSpec spec{static_cast<KernelKind>(kind), size, 2.3, 0.7, 0.6, 1.4, 1.9};
      const Kernel kernel = make_kernel(spec);
      REQUIRE(kernel.weights.size() == static_cast<std::size_t>(size) * size);
      double sum = 0, worst = 0;
      for (std::size_t i = 0; i < kernel.weights.size(); ++i) {
        sum += kernel.weights[i];
        worst = std::max(worst, std::abs(static_cast<double>(kernel.weights[i]) - kernel.weights[kernel.weights.size() - 1 - i]));
      }
      CHECK(sum == doctest::Approx(1).epsilon(1e-6));
      CHECK(worst < 1e-8);
    }
}

TEST_CASE("kernels take their definition's shape") {
  const auto ratio = [](const KernelSpec& spec, int y, int x) {  // weight at (y, x) over the weight at the centre
    const Kernel kernel = make_kernel(spec);
    const int c = spec.size / 2;
    return static_cast<double>(kernel.weights[(c + y) * spec.size + c + x]) / kernel.weights[c * spec.size + c];
  };
  const double q = (9.0 + 4.0) / (2.5 * 2.5);  // offset (2, 3), sigma 2.5
  CHECK(ratio({KernelKind::iso, 21, 2.5}, 2, 3) == doctest::Approx(std::exp(-q / 2)).epsilon(1e-5));
  CHECK(ratio({KernelKind::generalized_iso, 21, 2.5, 1, 0, 0.6}, 2, 3) == doctest::Approx(std::exp(-0.5 * std::pow(q, 0.6))).epsilon(1e-5));
  CHECK(ratio({KernelKind::plateau_iso, 21, 2.5, 1, 0, 1.7}, 2, 3) == doctest::Approx(1 / (1 + std::pow(q, 1.7))).epsilon(1e-5));
  // A quarter turn swaps the axes; no turn leaves sigma_x on x.
  const double long_axis = std::exp(-0.5 * 9 / 9.0), short_axis = std::exp(-0.5 * 9 / 1.0);
  CHECK(ratio({KernelKind::aniso, 21, 3, 1, 0}, 0, 3) == doctest::Approx(long_axis).epsilon(1e-5));
  CHECK(ratio({KernelKind::aniso, 21, 3, 1, 0}, 3, 0) == doctest::Approx(short_axis).epsilon(1e-5));
  CHECK(ratio({KernelKind::aniso, 21, 3, 1, std::numbers::pi / 2}, 3, 0) == doctest::Approx(long_axis).epsilon(1e-5));
  // At 45 degrees the long axis lies along (1, 1), the short one across it; (3, 3) is sqrt(18) away.
  const KernelSpec diagonal{KernelKind::aniso, 21, 3, 1, std::numbers::pi / 4};
  CHECK(ratio(diagonal, 3, 3) == doctest::Approx(std::exp(-0.5 * 18 / 9.0)).epsilon(1e-5));
  CHECK(ratio(diagonal, 1, -1) == doctest::Approx(std::exp(-0.5 * 2 / 1.0)).epsilon(1e-5));
  // J1(x)/x against its series x/2 (1 - x^2/8 + x^4/192 - ..): weight(r) / weight(0) = 2 J1(w r) / (w r).
  const double w = 1.2, x = w * 1;
  const double series = 1 - x * x / 8 + std::pow(x, 4) / 192 - std::pow(x, 6) / 9216 + std::pow(x, 8) / 737280;
  KernelSpec sinc{KernelKind::sinc, 21};
  sinc.omega = w;
  CHECK(ratio(sinc, 0, 1) == doctest::Approx(series).epsilon(1e-5));
  CHECK(ratio(sinc, -1, 0) == doctest::Approx(series).epsilon(1e-5));
}

TEST_CASE("filter2d is a correlation with mirrored borders, at any size") {
  for (const auto& [width, height, size] : {std::array{45, 19, 7}, {8, 5, 21}, {1, 9, 5}, {70, 3, 3}, {3, 1, 9}}) {
    CAPTURE(width);
    CAPTURE(height);
    const Image image = random_image(width, height, 3, width);
    Kernel kernel;
    kernel.size = size;
    Random random(3, "kernel", size);
    std::vector<double> weights;
    kernel.weights.clear();
    for (int i = 0; i < size * size; ++i) {  // without any symmetry, so that a convolution would be seen
      kernel.weights.push_back(i % 5 == 0 ? 0.0f : static_cast<float>(random.uniform() / (size * size)));
      weights.push_back(kernel.weights.back());
    }
    CHECK(max_difference(filter2d(image, kernel), plain_filter(image, size, weights)) < 1e-6);
  }
}

TEST_CASE("an isotropic Gaussian in two passes equals the direct sum") {
  const Image image = random_image(53, 31, 3, 1);
  const KernelSpec spec{KernelKind::iso, 13, 2.1};
  const Kernel kernel = make_kernel(spec);
  REQUIRE(!kernel.row.empty());
  Kernel direct = kernel;
  direct.row.clear();
  const Image two_passes = filter2d(image, kernel);
  CHECK(max_difference(two_passes, filter2d(image, direct)) < 1e-6);
  CHECK(max_difference(two_passes, plain_filter(image, 13, plain_gaussian(13, 2.1))) < 1e-6);
}

TEST_CASE("every kind of kernel, however it is computed, equals the direct sum") {
  const Image image = random_image(83, 38, 3, 5);  // neither a multiple of the lanes nor of the rows that are computed together
  for (int kind = 0; kind <= static_cast<int>(KernelKind::sinc); ++kind)
    for (const int size : {7, 21})
      for (const double sigma : {0.3, 1.1, 2.9}) {
        CAPTURE(kind);
        CAPTURE(size);
        CAPTURE(sigma);
        const Kernel kernel = make_kernel({static_cast<KernelKind>(kind), size, sigma, 0.7, 0.6, 0.6 + sigma / 2, 0.7 + sigma / 1.3});
        const std::vector<double> weights(kernel.weights.begin(), kernel.weights.end());
        CHECK(max_difference(filter2d(image, kernel), plain_filter(image, size, weights)) < 4e-6);
      }
}

TEST_CASE("the unsharp mask equals its definition by direct sums") {
  Image image = random_image(40, 30, 3, 2);
  for (float& value : image.data) value = 0.45f + 0.1f * value;  // mild texture: some residuals below the threshold, some above
  for (int y = 0; y < 30; ++y)
    for (int x = 25; x < 40; ++x) image.at(1, y, x) = std::min(1.0f, image.at(1, y, x) + 0.5f);
  const auto weights = plain_gaussian(51, 8.0);
  const Image blur = plain_filter(image, 51, weights);
  Image mask(40, 30, 3), expected(40, 30, 3);
  for (std::size_t i = 0; i < image.data.size(); ++i) mask.data[i] = std::abs(image.data[i] - blur.data[i]) * 255 > 10 ? 1.0f : 0.0f;
  const double share = static_cast<double>(std::count(mask.data.begin(), mask.data.end(), 1.0f)) / mask.data.size();
  REQUIRE(share > 0.1);
  REQUIRE(share < 0.9);
  const Image soft = plain_filter(mask, 51, weights);
  for (std::size_t i = 0; i < image.data.size(); ++i) {
    const float sharp = std::clamp(image.data[i] + 0.5f * (image.data[i] - blur.data[i]), 0.0f, 1.0f);
    expected.data[i] = soft.data[i] * sharp + (1 - soft.data[i]) * image.data[i];
  }
  CHECK(max_difference(unsharp_mask(image), expected) < 1e-5);
  CHECK(max_difference(image, expected) > 0.05);
}
