// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/distort.h"

#include <array>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

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

double mean_change(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) sum += std::abs(static_cast<double>(a.data[i]) - b.data[i]);
  return sum / static_cast<double>(a.data.size());
}

}  // namespace

TEST_CASE("each distortion grows with its strength, keeps the size and is reproducible") {
  const Image clean = scene(101, 75);  // no multiple of the edges' distance: pixelate would find them
  REQUIRE(distortion_kinds().size() >= 24);
  for (const std::string& kind : distortion_kinds())
    for (const uint64_t item : {5, 6}) {
      CAPTURE(kind);
      CAPTURE(item);
      const auto at = [&](double strength) {
        const Image out = distort(clean, kind, strength, Random(1, "distort", item));
        REQUIRE((out.width == 101 && out.height == 75 && out.channels == 3));
        for (const float value : out.data) REQUIRE((value >= 0 && value <= 1));
        return out;
      };
      double previous = 0;
      for (int level = 1; level <= distortion_levels; ++level) {
        CAPTURE(level);
        const double change = mean_change(at(level_strength(level)), clean);
        CHECK(change > previous);
        previous = change;
      }
      CHECK(rms(at(0), clean) < 0.09);
      CHECK(mean_change(at(0), clean) < 0.05);
      CHECK(rms(at(1), clean) > 0.05);
      CHECK(mean_change(at(1), clean) > 0.02);
      CHECK(at(0.5).data == at(0.5).data);
    }
}

// Sets name these in their manifests and are rebuilt from them.
TEST_CASE("the first ten kinds give what they always gave") {
  const Image clean = scene(96, 72);
  const std::vector<std::pair<const char*, double>> expected = {
      {"gaussian_blur", 0.056828288}, {"motion_blur", 0.053304772}, {"noise", 0.043558197},           {"jpeg", 0.057046833},
      {"ringing", 0.055596277},       {"pixelate", 0.069022744},    {"bicubic_down_up", 0.055149848}, {"banding", 0.019073756},
      {"colour_shift", 0.061098254},  {"grid", 0.030551881}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(expected[i].first);
    CHECK(distortion_kinds()[i] == expected[i].first);
    CHECK(rms(distort(clean, expected[i].first, 0.37, Random(1, "distort", 5)), clean) ==
          doctest::Approx(expected[i].second).epsilon(1e-6));
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
  for (const char* kind : {"gaussian_blur",   "motion_blur",    "ringing",    "pixelate",     "bicubic_down_up",  "lens_blur",
                           "aliasing",        "oversmooth",     "painting",   "fake_texture", "colour_diffusion", "channel_shift",
                           "colour_quantise", "saturation_lab", "contrast",   "checkerboard", "sharpen",          "halo",
                           "jitter",          "warp",           "patch_shift"}) {
    CAPTURE(kind);
    CHECK(rms(distort(flat, kind, 0.8, Random(2, "distort")), flat) < 1e-5);
  }
  // Chroma alone.
  for (const char* kind : {"colour_diffusion", "colour_noise"}) {
    CAPTURE(kind);
    const Image grey(40, 40, 3, 0.5f), out = distort(kind == std::string("colour_noise") ? grey : clean, kind, 0.3, Random(4, "distort"));
    const Image& before = out.width == 40 ? grey : clean;
    double sum = 0;
    for (std::size_t i = 0; i < before.plane_size(); ++i)
      sum += std::abs(0.299 * (out.plane(0)[i] - before.plane(0)[i]) + 0.587 * (out.plane(1)[i] - before.plane(1)[i]) +
                      0.114 * (out.plane(2)[i] - before.plane(2)[i]));
    CHECK(sum / before.plane_size() < 2e-3);
  }
  // Less colour is grey in the end; a palette has as many colours as it says.
  const Image drained = distort(clean, "saturation_hsv", 1, Random(1, "distort"));
  for (std::size_t i = 0; i < drained.plane_size(); ++i) REQUIRE(drained.plane(0)[i] == doctest::Approx(drained.plane(2)[i]).epsilon(1e-6));
  const Image few = distort(clean, "colour_quantise", 1, Random(1, "distort"));
  std::set<std::array<float, 3>> colours;
  for (std::size_t i = 0; i < few.plane_size(); ++i) colours.insert({few.plane(0)[i], few.plane(1)[i], few.plane(2)[i]});
  CHECK(colours.size() == 4);
  // The lattice repeats after 8 pixels at the latest.
  const Image lattice = distort(flat, "grid", 1, Random(3, "distort"));
  for (int x = 0; x + 8 < 40; ++x) REQUIRE(lattice.at(0, 5, x) == lattice.at(0, 5, x + 8));
}

TEST_CASE("wrong calls are refused with a name") {
  const Image clean = scene(20, 20);
  CHECK_THROWS_WITH_AS(level_strength(6), doctest::Contains("expected 1 to 5, found 6"), Error);
  CHECK_THROWS_WITH_AS(distort(clean, "gausian_blur", 0.5, Random(1, "distort")), doctest::Contains("gaussian_blur'?"), Error);
  CHECK_THROWS_WITH_AS(distort(clean, "noise", 1.5, Random(1, "distort")), doctest::Contains("found 1.5"), Error);
  CHECK_THROWS_AS(distort(Image(8, 8, 1), "noise", 0.5, Random(1, "distort")), Error);
}
