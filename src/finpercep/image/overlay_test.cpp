// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/overlay.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"

using namespace finpercep;

namespace {

using Polygon = std::vector<std::array<int, 2>>;

// '.' is 0, a digit d is d/10.
Image map_of(const std::vector<std::string>& rows) {
  Image map(static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), 1);
  for (int y = 0; y < map.height; ++y) {
    for (int x = 0; x < map.width; ++x) map.at(0, y, x) = rows[y][x] == '.' ? 0.0f : static_cast<float>(rows[y][x] - '0') / 10;
  }
  return map;
}

// Shoelace with y down: positive when clockwise on the screen.
int twice_area(const Polygon& polygon) {
  int sum = 0;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const auto& a = polygon[i];
    const auto& b = polygon[(i + 1) % polygon.size()];
    sum += a[0] * b[1] - b[0] * a[1];
  }
  return sum;
}

// Pixels of the only region of a map, and those that it encloses: what cannot be reached from outside by steps along rows and columns.
int filled_area(const Image& map) {
  Image outside(map.width + 2, map.height + 2, 1);
  std::vector<std::array<int, 2>> open = {{0, 0}};
  int reached = 0;
  while (!open.empty()) {
    const auto [x, y] = open.back();
    open.pop_back();
    if (x < 0 || y < 0 || x >= outside.width || y >= outside.height || outside.at(0, y, x) > 0) continue;
    if (x > 0 && y > 0 && x <= map.width && y <= map.height && map.at(0, y - 1, x - 1) > 0.5f) continue;
    outside.at(0, y, x) = 1;
    ++reached;
    for (const auto& [dx, dy] : {std::array{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) open.push_back({x + dx, y + dy});
  }
  return outside.width * outside.height - reached;
}

}  // namespace

TEST_CASE("the heat colours run from black to pale yellow and get steadily lighter") {
  CHECK(heat_colour(0)[0] == doctest::Approx(0.001462));
  CHECK(heat_colour(1)[1] == doctest::Approx(0.998364));
  CHECK(heat_colour(0.5f)[0] == doctest::Approx(0.735683).epsilon(0.01));  // matplotlib's entry 128
  CHECK(heat_colour(0.5f)[2] == doctest::Approx(0.330245).epsilon(0.01));
  CHECK(heat_colour(-3) == heat_colour(0));
  CHECK(heat_colour(7) == heat_colour(1));
  CHECK(heat_colour(std::numeric_limits<float>::quiet_NaN()) == heat_colour(0));
  float before = -1;
  for (int i = 0; i <= 100; ++i) {
    const auto c = heat_colour(static_cast<float>(i) / 100);
    const float luma = 0.2126f * c[0] + 0.7152f * c[1] + 0.0722f * c[2];
    CHECK(luma > before);
    before = luma;
  }
}

TEST_CASE("overlay is gray where the map is 0 and takes the colour where it is 1") {
  Image photo(2, 1);
  for (int c = 0; c < 3; ++c) photo.at(c, 0, 0) = photo.at(c, 0, 1) = static_cast<float>(c) / 4;
  const float gray = 0.587f * 0.25f + 0.114f * 0.5f;
  const Image out = overlay(photo, map_of({".9"}), 0.5f);
  for (int c = 0; c < 3; ++c) {
    CHECK(out.at(c, 0, 0) == doctest::Approx(gray));
    CHECK(out.at(c, 0, 1) == doctest::Approx(gray + 0.9f * 0.5f * (heat_colour(0.9f)[c] - gray)));
  }
  CHECK(heat_map(map_of({".9"})).at(0, 0, 1) == doctest::Approx(heat_colour(0.9f)[0]));
  CHECK_THROWS_AS(overlay(Image(3, 1), map_of({".9"})), Error);
  CHECK_THROWS_AS(heat_map(Image(3, 1)), Error);
}

TEST_CASE("a rectangle is one region of four corners, clockwise") {
  const auto regions = find_regions(map_of({".......", ".55558.", ".55555.", ".......", "......9"}), 0.5f, 2);
  REQUIRE(regions.size() == 1);
  const Region& r = regions[0];
  CHECK(r.x == 1);
  CHECK(r.y == 1);
  CHECK(r.width == 5);
  CHECK(r.height == 2);
  CHECK(r.area == 10);
  CHECK(r.mean == doctest::Approx(0.53));
  CHECK(r.max == doctest::Approx(0.8));
  CHECK((r.polygon == Polygon{{1, 1}, {6, 1}, {6, 3}, {1, 3}}));
}

TEST_CASE("a ring has its outer boundary only") {
  const auto regions = find_regions(map_of({"999.", "9.9.", "9999"}), 0.5f, 1);
  REQUIRE(regions.size() == 1);
  CHECK(regions[0].area == 9);
  CHECK((regions[0].polygon == Polygon{{0, 0}, {3, 0}, {3, 2}, {4, 2}, {4, 3}, {0, 3}}));
}

TEST_CASE("pixels that touch at a corner are one region with one boundary") {
  const auto down = find_regions(map_of({"9..", ".9.", "..9"}), 0.5f, 1);
  REQUIRE(down.size() == 1);
  CHECK(down[0].area == 3);
  CHECK((twice_area(down[0].polygon) == 6));
  const auto up = find_regions(map_of({".9", "9."}), 0.5f, 1);
  REQUIRE(up.size() == 1);
  CHECK((up[0].polygon == Polygon{{1, 0}, {2, 0}, {2, 1}, {1, 1}, {1, 2}, {0, 2}, {0, 1}, {1, 1}}));
  CHECK((twice_area(up[0].polygon) == 4));
}

TEST_CASE("the polygon of a region has the region's area, with its holes") {
  uint32_t state = 3;
  int alone = 0, with_holes = 0;
  for (int round = 0; round < 200; ++round) {
    Image map(9, 8, 1);
    for (float& value : map.data) {
      state = state * 1664525u + 1013904223u;
      value = state >> 31 ? 0.9f : 0.1f;
    }
    const auto regions = find_regions(map, 0.5f, 1);
    if (regions.size() == 1) {
      ++alone;
      const int filled = filled_area(map);
      with_holes += filled > regions[0].area;
      CHECK(twice_area(regions[0].polygon) == 2 * filled);
    }
    for (const Region& r : regions) {
      CHECK(twice_area(r.polygon) >= 2 * r.area);
      CHECK(twice_area(r.polygon) <= 2 * r.width * r.height);
      for (std::size_t i = 0; i < r.polygon.size(); ++i) {  // every edge is straight and every corner turns
        const auto &a = r.polygon[i], &b = r.polygon[(i + 1) % r.polygon.size()], &c = r.polygon[(i + 2) % r.polygon.size()];
        CHECK((a[0] == b[0]) != (a[1] == b[1]));
        CHECK((a[0] == b[0]) != (b[0] == c[0]));
      }
    }
  }
  CHECK(alone > 20);
  CHECK(with_holes > 5);
}

TEST_CASE("empty and full maps, order and smallest area") {
  CHECK(find_regions(map_of({"...", "..."}), 0.5f, 1).empty());
  CHECK(find_regions(Image(4, 4, 1, std::numeric_limits<float>::quiet_NaN()), 0.5f, 1).empty());
  const auto full = find_regions(Image(7, 3, 1, 1.0f), 0.5f, 16);
  REQUIRE(full.size() == 1);
  CHECK((full[0].polygon == Polygon{{0, 0}, {7, 0}, {7, 3}, {0, 3}}));
  const auto two = find_regions(map_of({"66.99", "66...", "....."}), 0.5f, 2);
  REQUIRE(two.size() == 2);
  CHECK(two[0].area == 4);  // 4 * 0.6 > 2 * 0.9
  CHECK(find_regions(map_of({"66.99", "66...", "....."}), 0.5f, 3).size() == 1);
  CHECK_THROWS_AS(find_regions(Image(4, 4), 0.5f, 1), Error);
}
