// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/resize.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/image/tensor.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;
using test::largest_difference;

namespace {

struct Sizes {
  int in_width, in_height, width, height;
};
const std::vector<Sizes> kSizes = {{40, 30, 20, 15}, {40, 30, 80, 60}, {37, 53, 11, 19}, {37, 53, 101, 64},
                                   {64, 48, 63, 49}, {7, 5, 1, 1},     {1, 1, 9, 4},     {400, 300, 50, 37},
                                   {33, 40, 33, 13}, {5, 200, 17, 3},  {2, 2, 3, 3},     {129, 65, 128, 66}};

Image noise(int width, int height, int channels = 3) {
  Image image(width, height, channels);
  uint32_t state = 7;
  for (float& value : image.data) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 16777216.0f;
  }
  return image;
}

// ATen is the reference. `scale` as in F.interpolate(scale_factor=..).
at::Tensor aten(const at::Tensor& input, int width, int height, Resize method, std::optional<double> scale = std::nullopt) {
  const std::vector<int64_t> size = {height, width};
  switch (method) {
    case Resize::nearest:
      return at::upsample_nearest2d(input, size, scale, scale);
    case Resize::area:
      return at::adaptive_avg_pool2d(input, size);
    case Resize::bilinear:
      return at::upsample_bilinear2d(input, size, false, scale, scale);
    case Resize::bicubic:
      return at::upsample_bicubic2d(input, size, false, scale, scale);
    default:
      return at::_upsample_bicubic2d_aa(input, size, false, scale, scale);
  }
}

const Resize kTorchMethods[] = {Resize::nearest, Resize::area, Resize::bilinear, Resize::bicubic, Resize::bicubic_aa};

// imresize from its definition, pixel by pixel: the kernel, stretched when shrinking, over the mirrored plane, divided by its sum.
Image matlab_reference(const Image& in, int width, int height, double scale_x, double scale_y) {
  const auto h = [](double x) {
    x = std::fabs(x);
    if (x <= 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
    if (x <= 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
    return 0.0;
  };
  const auto mirror = [](int i, int n) {
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
  };
  Image out(width, height, in.channels);
  for (int c = 0; c < in.channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double u = (x + 1) / scale_x + 0.5 * (1 - 1 / scale_x), v = (y + 1) / scale_y + 0.5 * (1 - 1 / scale_y);  // counted from 1
        const double kx = std::min(scale_x, 1.0), ky = std::min(scale_y, 1.0);
        double sum = 0, norm = 0;
        for (int j = static_cast<int>(v - 2 / ky) - 2; j <= v + 2 / ky + 2; ++j) {
          for (int i = static_cast<int>(u - 2 / kx) - 2; i <= u + 2 / kx + 2; ++i) {
            const double w = kx * h(kx * (u - i)) * ky * h(ky * (v - j));
            sum += w * in.at(c, mirror(j - 1, in.height), mirror(i - 1, in.width));
            norm += w;
          }
        }
        out.at(c, y, x) = static_cast<float>(sum / norm);
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("resize to a size equals torch") {
  for (const Sizes& s : kSizes) {
    const Image image = noise(s.in_width, s.in_height);
    for (const Resize method : kTorchMethods) {
      CAPTURE(s.in_width);
      CAPTURE(s.in_height);
      CAPTURE(s.width);
      CAPTURE(s.height);
      CAPTURE(static_cast<int>(method));
      CHECK(largest_difference(resize(image, s.width, s.height, method), to_image(aten(to_tensor(image), s.width, s.height, method))) <
            1e-5f);
    }
  }
}

TEST_CASE("resize by a scale takes torch's sizes and torch's grid") {
  const Image image = noise(50, 41);
  for (const double scale : {0.25, 0.3, 0.77, 1.5, 2.0, 3.3}) {
    const int width = static_cast<int>(std::floor(50 * scale)), height = static_cast<int>(std::floor(41 * scale));
    for (const Resize method : kTorchMethods) {
      CAPTURE(scale);
      CAPTURE(static_cast<int>(method));
      CHECK(largest_difference(resize_by(image, scale, method), to_image(aten(to_tensor(image), width, height, method, scale))) < 1e-5f);
    }
  }
  // The grid of the scale is not that of the sizes: 0.3 * 41 = 12.3.
  CHECK(largest_difference(resize_by(image, 0.3, Resize::bicubic), resize(image, 15, 12, Resize::bicubic)) > 1e-3f);
}

TEST_CASE("bicubic_matlab equals the definition of imresize") {
  for (const Sizes& s : kSizes) {
    if (s.in_width * s.in_height > 100'000) continue;
    const Image image = noise(s.in_width, s.in_height, 1);
    const Image expected =
        matlab_reference(image, s.width, s.height, static_cast<double>(s.width) / s.in_width, static_cast<double>(s.height) / s.in_height);
    CAPTURE(s.in_width);
    CAPTURE(s.width);
    CHECK(largest_difference(resize(image, s.width, s.height, Resize::bicubic_matlab), expected) < 1e-5f);
  }
  const Image image = noise(31, 22, 1);
  for (const double scale : {0.25, 0.5, 0.4, 2.0, 1.7}) {
    const Image expected =
        matlab_reference(image, static_cast<int>(std::ceil(31 * scale)), static_cast<int>(std::ceil(22 * scale)), scale, scale);
    CAPTURE(scale);
    CHECK(largest_difference(resize_by(image, scale, Resize::bicubic_matlab), expected) < 1e-5f);
  }
  // By hand: half of 1..8. Kernel samples at 1/4, 3/4, 5/4, 7/4, mirrored at the left edge: .43359375 * (1 + 2) + .11328125 * (1 + 3)
  // - .03515625 * (2 + 4) - .01171875 * (3 + 5).
  Image ramp(8, 1, 1);
  for (int x = 0; x < 8; ++x) ramp.data[x] = static_cast<float>(x + 1);
  const Image half = resize(ramp, 4, 1, Resize::bicubic_matlab);
  CHECK(half.data[0] == doctest::Approx(1.44921875));
  CHECK(half.data[3] == doctest::Approx(9 - 1.44921875));
}

TEST_CASE("resizing keeps constants, and pictures of the same size") {
  const Image flat(31, 17, 3, 0.7f), image = noise(31, 17);
  for (int method = 0; method <= static_cast<int>(Resize::bicubic_matlab); ++method) {
    CAPTURE(method);
    CHECK(largest_difference(resize(flat, 13, 40, static_cast<Resize>(method)), Image(13, 40, 3, 0.7f)) < 1e-6f);
    CHECK(resize(image, 31, 17, static_cast<Resize>(method)).data == image.data);
  }
}

TEST_CASE("impossible sizes are refused") {
  const Image image = noise(4, 4);
  CHECK_THROWS_AS(resize(image, 0, 4, Resize::area), Error);
  CHECK_THROWS_AS(resize_by(image, 0.1, Resize::bicubic), Error);
  CHECK_THROWS_AS(resize_by(image, -1, Resize::bicubic), Error);
  CHECK_THROWS_AS(resize_by(image, std::nan(""), Resize::bicubic), Error);
  CHECK(test::message_of(ExitCode::internal, [&] { crop(image, 1, 0, 4, 4); }) != "");
  CHECK(test::message_of(ExitCode::internal, [&] { crop(image, -1, 0, 2, 2); }) != "");
}

TEST_CASE("crop, flip and clamp") {
  Image image = noise(6, 5);
  const Image part = crop(image, 2, 1, 3, 4);
  CHECK(part.at(2, 3, 2) == image.at(2, 4, 4));
  CHECK(part.at(0, 0, 0) == image.at(0, 1, 2));
  CHECK(flip_horizontal(image).at(1, 2, 0) == image.at(1, 2, 5));
  CHECK(flip_horizontal(flip_horizontal(image)).data == image.data);
  image.data[0] = -0.5f;
  image.data[1] = 1.5f;
  clamp_unit(image);
  CHECK(image.data[0] == 0.0f);
  CHECK(image.data[1] == 1.0f);
}

#ifdef NDEBUG
TEST_CASE("halving 400 x 400 takes about a millisecond") {
  const Image image = noise(400, 400);
  double best = 1e9;
  for (int i = 0; i < 40; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const Image half = resize(image, 200, 200, Resize::bicubic_aa);
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    REQUIRE(half.width == 200);
  }
  MESSAGE("bicubic_aa 400 -> 200: " << best << " ms");
  CHECK(best < 3);  // 1.5 on a quiet machine
}
#endif
