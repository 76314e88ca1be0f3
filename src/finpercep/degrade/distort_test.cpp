// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort.h"

#include <cmath>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"

using namespace finpercep;

namespace {

// Edges, a gradient and texture.
Image scene(int width, int height) {
  Image image(width, height);
  Random random(11, "distort test");
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const bool edge = (x / 16 + y / 12 + c) % 3 == 0;
        image.at(c, y, x) = static_cast<float>(0.15 + 0.3 * x / width + (edge ? 0.35 : 0) + 0.06 * random.uniform());
      }
  return image;
}

double rms(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) sum += std::pow(static_cast<double>(a.data[i]) - b.data[i], 2);
  return std::sqrt(sum / a.data.size());
}

}  // namespace

TEST_CASE("each distortion grows with its strength, keeps the size and is reproducible") {
  const Image clean = scene(96, 72);
  REQUIRE(distortion_kinds().size() == 10);
  for (const std::string& kind : distortion_kinds()) {
    CAPTURE(kind);
    double previous = 0;
    for (const double strength : {0.0, 0.5, 1.0}) {
      CAPTURE(strength);
      const Image out = distort(clean, kind, strength, Random(1, "distort", 5));
      REQUIRE(out.width == 96);
      REQUIRE(out.height == 72);
      REQUIRE(out.channels == 3);
      for (const float value : out.data) REQUIRE((value >= 0 && value <= 1));
      const double change = rms(out, clean);
      CHECK(change > previous);
      if (strength == 0) CHECK(change < 0.09);
      if (strength == 1) CHECK(change > 0.05);
      previous = change;
      CHECK(out.data == distort(clean, kind, strength, Random(1, "distort", 5)).data);
    }
  }
}

TEST_CASE("distortions are what they are called") {
  const Image clean = scene(96, 72);
  const Image tint = distort(clean, "colour_shift", 0.5, Random(1, "distort"));
  double luma = 0;
  for (std::size_t i = 0; i < clean.plane_size(); ++i)
    luma = std::max(luma, std::abs(0.299 * (tint.plane(0)[i] - clean.plane(0)[i]) + 0.587 * (tint.plane(1)[i] - clean.plane(1)[i]) +
                                   0.114 * (tint.plane(2)[i] - clean.plane(2)[i])));
  CHECK(luma < 1e-5);
  CHECK(rms(tint, clean) > 0.02);
  // A blur of a flat picture changes nothing: its kernel sums to 1.
  const Image flat(40, 40, 3, 0.4f);
  for (const char* kind : {"gaussian_blur", "motion_blur", "ringing", "pixelate", "bicubic_down_up"}) {
    CAPTURE(kind);
    CHECK(rms(distort(flat, kind, 0.8, Random(2, "distort")), flat) < 1e-5);
  }
  // The lattice repeats after 8 pixels at the latest.
  const Image lattice = distort(flat, "grid", 1, Random(3, "distort"));
  for (int x = 0; x + 8 < 40; ++x) REQUIRE(lattice.at(0, 5, x) == lattice.at(0, 5, x + 8));
}

TEST_CASE("wrong calls are refused with a name") {
  const Image clean = scene(20, 20);
  CHECK_THROWS_WITH_AS(distort(clean, "gausian_blur", 0.5, Random(1, "distort")), doctest::Contains("gaussian_blur'?"), Error);
  CHECK_THROWS_WITH_AS(distort(clean, "noise", 1.5, Random(1, "distort")), doctest::Contains("found 1.5"), Error);
  CHECK_THROWS_AS(distort(Image(8, 8, 1), "noise", 0.5, Random(1, "distort")), Error);
}
