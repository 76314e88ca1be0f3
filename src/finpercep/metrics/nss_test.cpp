// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/random.h"
#include "finpercep/metrics/brisque.h"
#include "finpercep/metrics/niqe.h"
#include "finpercep/metrics/nss.h"

using namespace finpercep;

namespace {

std::vector<double> integers(int count, uint64_t item) {
  Random random(3, "nss_test", item);
  std::vector<double> values(count);
  for (double& v : values) v = static_cast<double>(random.integer(0, 255));
  return values;
}

Image noise(int width, int height, uint64_t item) {
  Random random(3, "nss_test picture", item);
  Image image(width, height);
  for (float& v : image.data) v = static_cast<float>(random.integer(0, 255)) / 255;
  return image;
}

}  // namespace

TEST_CASE("local contrast equals the plain loop, at the borders as well") {
  const int width = 21, height = 13;
  const std::vector<double> plane = integers(width * height, 0);
  const std::vector<float> single(plane.begin(), plane.end());
  double weights[7][7], sum = 0;
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 7; ++j) sum += weights[i][j] = std::exp(-((i - 3.) * (i - 3.) + (j - 3.) * (j - 3.)) / (2 * 49. / 36));
  const auto nearest = contrast_normalised(plane, width, height, LocalWindow::exact(), 2);
  const auto zeros = contrast_normalised(single, width, height, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (bool inside_only : {false, true}) {
        double mean = 0, squares = 0;
        for (int i = 0; i < 7; ++i)
          for (int j = 0; j < 7; ++j) {
            const int sy = y + i - 3, sx = x + j - 3;
            if (inside_only && (sy < 0 || sx < 0 || sy >= height || sx >= width)) continue;
            const double v = plane[std::clamp(sy, 0, height - 1) * width + std::clamp(sx, 0, width - 1)];
            mean += weights[i][j] / sum * v;
            squares += weights[i][j] / sum * v * v;
          }
        const double expected = (plane[y * width + x] - mean) / (std::sqrt(std::abs(squares - mean * mean)) + 1);
        const double found = inside_only ? zeros[y * width + x] : nearest[y * width + x];
        CHECK(found == doctest::Approx(expected).epsilon(inside_only ? 1e-4 : 1e-10));
      }
  CHECK(nearest == contrast_normalised(plane, width, height, LocalWindow::exact(), 1));
}

TEST_CASE("the float32 window has the sum that its rounded products have") {
  double sum = 0;
  for (double u : LocalWindow::of_float32().weights)
    for (double v : LocalWindow::of_float32().weights) sum += u * v;
  CHECK(sum - 1 == doctest::Approx(1.135e-8).epsilon(1e-3));  // of BasicSR's stored window, each value rounded
}

TEST_CASE("moments of a row and of products round the block") {
  const std::vector<double> v = {1, -2, 0, 3, 4, -5, 6, 7, -8, 9, 0, -1};  // 4 x 3
  const Block<double> block{v.data(), 4, 4, 3};
  const SignedMoments row = moments_of_row(block, 0);
  CHECK(row.left == 4);
  CHECK(row.right == 10);
  CHECK(row.left_count == 1);
  CHECK(row.right_count == 2);
  CHECK(row.magnitude == 6);
  CHECK(row.count == 4);
  for (int dy : {-1, 0, 1})
    for (int dx : {-1, 0, 1}) {
      SignedMoments expected, found;
      for (int y = 0; y < 3; ++y) {
        found.add(moments_of_products(block, y, dy, dx));
        for (int x = 0; x < 4; ++x) {
          const double p = v[y * 4 + x] * v[(y - dy + 3) % 3 * 4 + (x - dx + 4) % 4];
          expected.add({p < 0 ? p * p : 0, p > 0 ? p * p : 0, p < 0 ? 1. : 0., p > 0 ? 1. : 0., std::abs(p), 1});
        }
      }
      CAPTURE(dy);
      CAPTURE(dx);
      CHECK(found.left == doctest::Approx(expected.left));
      CHECK(found.right == doctest::Approx(expected.right));
      CHECK(found.left_count == expected.left_count);
      CHECK(found.right_count == expected.right_count);
      CHECK(found.magnitude == doctest::Approx(expected.magnitude));
      CHECK(found.count == 12);
    }
}

TEST_CASE("the fits find the shapes of known distributions") {
  Random random(4, "nss_test fits", 0);
  SignedMoments normal, laplace, lopsided;
  const auto add = [](SignedMoments& moments, double v) {
    moments.add({v < 0 ? v * v : 0, v > 0 ? v * v : 0, v < 0 ? 1. : 0., v > 0 ? 1. : 0., std::abs(v), 1});
  };
  for (int i = 0; i < 200000; ++i) {
    const double n = random.normal(), u = random.uniform(-1, 1);
    add(normal, n);
    add(laplace, std::copysign(std::log1p(-std::abs(u)), u));
    add(lopsided, n < 0 ? n : 2 * n);
  }
  CHECK(gaussian_shape(normal) == doctest::Approx(2).epsilon(0.02));
  CHECK(gaussian_shape(laplace) == doctest::Approx(1).epsilon(0.02));
  const AsymmetricFit even = asymmetric_fit(normal);
  CHECK(even.shape == doctest::Approx(2).epsilon(0.02));
  CHECK(even.mean == doctest::Approx(0).epsilon(0.02));
  CHECK(even.left_scale == doctest::Approx(std::sqrt(2.)).epsilon(0.02));
  const AsymmetricFit fit = asymmetric_fit(lopsided);
  CHECK(fit.right / fit.left == doctest::Approx(2).epsilon(0.02));
  CHECK(fit.mean > 0.1);
  CHECK(std::isnan(asymmetric_fit({}).left));
}

TEST_CASE("NIQE and BRISQUE: threads, sizes, flat pictures") {
  const Image image = noise(230, 200, 1);
  CHECK(at::equal(niqe_features(image, {.threads = 1}), niqe_features(image, {.threads = 3})));
  CHECK(niqe_features(image).sizes() == at::IntArrayRef({4, 36}));
  CHECK(brisque_features(image, 1) == brisque_features(image, 3));
  CHECK_THROWS_WITH_AS(niqe_features(noise(95, 200, 2)), doctest::Contains("at least 96 pixels, found 95x200"), Error);
  CHECK_THROWS_WITH_AS(brisque_features(noise(15, 200, 2)), doctest::Contains("at least 16 pixels, found 15x200"), Error);
  const Niqe niqe{at::zeros({36}, at::kDouble), at::eye(36, at::kDouble)};
  CHECK_THROWS_WITH_AS(niqe(noise(96, 96, 3)), doctest::Contains("two blocks"), Error);
  CHECK_THROWS_AS(niqe(Image(200, 200, 3, 0)), Error);
  CHECK(niqe(image) > 0);
  CHECK_THROWS_WITH_AS(Brisque{}(Image(64, 64, 3, 0)), doctest::Contains("without texture"), Error);
}
