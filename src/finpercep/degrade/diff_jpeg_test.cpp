// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/diff_jpeg.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/image/tensor.h"

using namespace finpercep;

namespace {

// Values far from 0 and 1, so that nothing is clamped.
Image scene(int width, int height) {
  Image image(width, height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        image.at(c, y, x) = static_cast<float>(
            std::round(127 + 50 * std::sin(0.21 * x + 0.4 * c) * std::cos(0.13 * y) + 12 * std::sin(1.9 * x + 0.7 * y)) / 255);
  return image;
}

double mean_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().mean().item<double>(); }

}  // namespace

TEST_CASE("JPEG by tensors is libjpeg up to its integer arithmetic and chroma filter") {
  for (const auto& [width, height] : {std::pair{64, 48}, {37, 21}})
    for (const int quality : {20, 30, 41, 50, 75, 95}) {
      CAPTURE(quality);
      const Image photo = scene(width, height);
      const at::Tensor ours = diff_jpeg(to_tensor(photo), at::full({1}, quality));
      const at::Tensor real = to_tensor(jpeg_round_trip(photo, quality)), clean = to_tensor(photo);
      REQUIRE(ours.sizes() == real.sizes());
      CHECK(mean_difference(ours, real) < 0.45 * mean_difference(real, clean) + 0.003);
      CHECK(mean_difference(ours, clean) == doctest::Approx(mean_difference(real, clean)).epsilon(0.25));
    }
}

TEST_CASE("a picture of a batch is coded at its own quality") {
  const at::Tensor one = to_tensor(scene(32, 32));
  const at::Tensor both = diff_jpeg(at::cat({one, one}), at::tensor({30.0f, 90.0f}));
  CHECK(at::allclose(both.narrow(0, 0, 1), diff_jpeg(one, at::tensor({30.0f})), 0, 1e-6));
  CHECK(at::allclose(both.narrow(0, 1, 1), diff_jpeg(one, at::tensor({90.0f})), 0, 1e-6));
  CHECK(mean_difference(both.narrow(0, 0, 1), one) > mean_difference(both.narrow(0, 1, 1), one));
}

TEST_CASE("wrong shapes are refused") {
  CHECK_THROWS_AS(diff_jpeg(at::zeros({1, 1, 8, 8}), at::full({1}, 50)), Error);
  CHECK_THROWS_AS(diff_jpeg(at::zeros({2, 3, 8, 8}), at::full({1}, 50)), Error);
}
