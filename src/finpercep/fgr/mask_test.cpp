// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/mask.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "finpercep/base/error.h"

using namespace finpercep;

namespace {

double area_of(const Image& mask) {
  double sum = 0;
  for (float v : mask.data) sum += v;
  return sum / static_cast<double>(mask.data.size());
}

MaskSettings fixed_area(double area) {
  MaskSettings settings;
  settings.area = {area, area};
  return settings;
}

}  // namespace

TEST_CASE("each kind of mask: values in [0,1], on average about the area that was asked for") {
  for (const std::string& kind : MaskSettings().kinds)
    for (const double wanted : {0.1, 0.3, 0.6}) {
      CAPTURE(kind);
      CAPTURE(wanted);
      double sum = 0;
      constexpr int draws = 30;
      for (uint64_t i = 0; i < draws; ++i) {
        Random random(1, "mask", i);
        const Image mask = random_mask(kind, 96, 80, fixed_area(wanted), random);
        REQUIRE(mask.width == 96);
        REQUIRE(mask.height == 80);
        REQUIRE(mask.channels == 1);
        const auto [low, high] = std::ranges::minmax(mask.data);
        REQUIRE(low >= 0);
        REQUIRE(high <= 1);
        sum += area_of(mask);
      }
      CHECK(sum / draws > 0.65 * wanted);
      CHECK(sum / draws < 1.4 * wanted);
    }
}

TEST_CASE("masks are drawn from their stream: equal for equal items, different for others") {
  for (const std::string& kind : MaskSettings().kinds) {
    CAPTURE(kind);
    Random a(3, "mask", 1), b(3, "mask", 1), c(3, "mask", 2);
    const Image first = random_mask(kind, 64, 64, fixed_area(0.4), a);
    CHECK(first.data == random_mask(kind, 64, 64, fixed_area(0.4), b).data);
    CHECK(first.data != random_mask(kind, 64, 64, fixed_area(0.4), c).data);
  }
}

TEST_CASE("areas are drawn log-uniform from the range") {
  MaskSettings settings;
  settings.area = {0.05, 0.5};
  settings.feather_prob = 0;
  int below = 0;
  constexpr int draws = 200;
  for (uint64_t i = 0; i < draws; ++i) {
    Random random(1, "mask", i);
    const double area = area_of(random_mask("noise", 48, 48, settings, random));  // this kind meets its area to a pixel
    CHECK(area > 0.048);
    CHECK(area < 0.502);
    below += area < 0.158;  // the geometric mean of the ends
  }
  CHECK(below > 75);
  CHECK(below < 125);
}

TEST_CASE("feathering softens edges, and only where it is asked for") {
  const auto soft_pixels = [](const MaskSettings& settings) {
    Random random(1, "mask", 4);
    const Image mask = random_mask("box", 64, 64, settings, random);
    return std::ranges::count_if(mask.data, [](float v) { return v > 0.01f && v < 0.99f; });
  };
  MaskSettings settings = fixed_area(0.2);
  settings.feather_prob = 0;
  CHECK(soft_pixels(settings) == 0);
  settings.feather_prob = 1;
  settings.feather = {1, 1};
  const auto narrow = soft_pixels(settings);
  settings.feather = {3, 3};
  CHECK(narrow > 0);
  CHECK(soft_pixels(settings) > narrow);
}

TEST_CASE("masks of small and narrow pictures") {
  for (const std::string& kind : MaskSettings().kinds)
    for (const auto& [width, height] : {std::pair{2, 2}, {3, 40}, {33, 2}}) {
      CAPTURE(kind);
      Random random(1, "mask");
      const Image mask = random_mask(kind, width, height, MaskSettings(), random);
      CHECK(mask.data.size() == static_cast<std::size_t>(width) * height);
    }
}

TEST_CASE("unknown kinds and ranges that are none are usage errors that name them") {
  const auto message = [](const std::string& override_text) -> std::string {
    MaskSettings settings;
    try {
      load_settings(settings, "", "masks.yaml", {override_text});
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::usage);
      return error.what();
    }
    return "";
  };
  CHECK(message("kinds=[box]").empty());
  CHECK(message("kinds=[box, blob]").find("'blob'") != std::string::npos);
  CHECK(message("kinds=[]").find("kinds: expected at least one of brush, box") != std::string::npos);
  CHECK(message("area=[0.5, 0.1]").find("area: expected [low, high], found [0.5, 0.1]") != std::string::npos);
  CHECK(message("feather=[1]").find("feather: expected two numbers, found 1") != std::string::npos);
}
