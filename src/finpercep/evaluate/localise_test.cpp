// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/map_agreement.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/degrade/blur.h"
#include "finpercep/evaluate/correlation.h"
#include "finpercep/evaluate/map_rivals.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/metrics/niqe.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

Image row(const std::vector<float>& values) {
  Image image(static_cast<int>(values.size()), 1, 1);
  image.data = values;
  return image;
}

}  // namespace

TEST_CASE("maps against labels: six pixels by hand") {
  // Defect pixels: the first three. Map order by value: .9 (defect), .8 (clean), .7 (defect), .2 (defect), .1, .1 (clean).
  const MapAgreement m = compare_maps(row({0.9f, 0.7f, 0.2f, 0.8f, 0.1f, 0.1f}), row({1, 0.6f, 0.4f, 0, 0, 0}));
  CHECK(m.l1 == doctest::Approx((0.1 + 0.1 + 0.2 + 0.8 + 0.1 + 0.1) / 6).epsilon(1e-5));
  CHECK(m.auroc == doctest::Approx(7.0 / 9));  // .9 above three, .7 above two, .2 above two
  CHECK(m.aupr == doctest::Approx((1.0 + 2.0 / 3 + 3.0 / 4) / 3));
  CHECK(m.iou == doctest::Approx(2.0 / 4));
  CHECK(m.f1 == doctest::Approx(2.0 * 2 / (2 * 2 + 1 + 1)));
  CHECK(m.hit == 1);
  // numpy.corrcoef of the two rows
  CHECK(m.plcc == doctest::Approx(0.6067).epsilon(2e-3));
}

TEST_CASE("maps against labels: perfect, reversed, constant and empty") {
  const Image label = row({1, 1, 0, 0});
  const MapAgreement perfect = compare_maps(label, label), reversed = compare_maps(row({0, 0, 1, 1}), label),
                     flat = compare_maps(row({0.3f, 0.3f, 0.3f, 0.3f}), label);
  CHECK(perfect.auroc == 1);
  CHECK(perfect.aupr == 1);
  CHECK(perfect.plcc == doctest::Approx(1));
  CHECK(perfect.f1 == 1);
  CHECK(reversed.auroc == 0);
  CHECK(reversed.plcc == doctest::Approx(-1));
  CHECK(reversed.hit == 0);
  CHECK(flat.auroc == 0.5);
  CHECK(flat.aupr == 0.5);
  CHECK(std::isnan(flat.plcc));
  const MapAgreement nothing = compare_maps(row({0.2f, 0.9f}), row({0, 0})), everything = compare_maps(row({0.2f, 0.9f}), row({1, 1}));
  CHECK(std::isnan(nothing.auroc));
  CHECK(std::isnan(nothing.hit));
  CHECK(nothing.l1 == doctest::Approx(0.55));
  CHECK(std::isnan(everything.auroc));
  CHECK(everything.hit == 1);
  CHECK_THROWS_AS(compare_maps(row({1, 0}), row({1, 0, 0})), Error);
}

TEST_CASE("correlations: by hand, with ties, and what has none") {
  CHECK(ranks({3, 1, 3, 2}) == std::vector<double>{3.5, 1, 3.5, 2});
  CHECK(std::isnan(ranks({3, std::nan(""), 2})[0]));  // no order, and no endless loop
  CHECK(pearson({1, 2, 3, 4}, {1, 3, 2, 5}) == doctest::Approx(5.5 / std::sqrt(5 * 8.75)));
  CHECK(spearman({1, 2, 3, 4}, {1, 30, 20, 500}) == doctest::Approx(0.8));  // 1 - 6 * 2 / (4 * 15)
  CHECK(spearman({1, 2, 3}, {9, 4, 1}) == doctest::Approx(-1));
  CHECK(std::isnan(pearson({1, 2}, {0.3, 0.3})));
  CHECK_THROWS_AS(pearson({1, 2}, {1}), Error);
  const Interval i = bootstrap_correlation(spearman, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 4, 3, 5, 6, 8, 7}, {.resamples = 500});
  CHECK(i.mean == doctest::Approx(1 - 6.0 * 4 / (8 * 63)));
  CHECK(i.low < i.mean);
  CHECK(i.high <= 1 + 1e-12);
}

TEST_CASE("thresholds and components: two found, one of them wrong, one missed") {
  // 16 x 8: the label has squares of 4 x 4 at (0,0) and (12,0); the map has (0,0) to the height of 3 at 0.6, a false one at (6,4) at 0.3,
  // and two pixels that are no component.
  Image label(16, 8, 1), map(16, 8, 1);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x) {
      label.at(0, y, x) = label.at(0, y, 12 + x) = 1;
      if (y < 3) map.at(0, y, x) = 0.6f;
      map.at(0, 4 + y, 6 + x) = 0.3f;
    }
  map.at(0, 7, 15) = map.at(0, 6, 15) = 0.7f;
  const RegionAgreement low = compare_regions(map, label, 0.2, 4), high = compare_regions(map, label, 0.5, 4);
  CHECK(low.precision == 0.5);
  CHECK(low.recall == 0.5);
  CHECK(low.f1 == doctest::Approx(2.0 * 12 / (30 + 32)));
  CHECK(high.precision == 1);
  CHECK(high.f1 == doctest::Approx(2.0 * 12 / (14 + 32)));
  CHECK(std::isnan(compare_regions(map, label, 0.9, 4).precision));
  CHECK(compare_regions(map, label, 0.9, 4).recall == 0);
  const std::vector<double> f1 = f1_by_threshold(map, label);
  CHECK(f1[static_cast<int>(0.2 * map_levels)] == doctest::Approx(low.f1));
  CHECK(f1[0] == doctest::Approx(2.0 * 32 / (128 + 32)));
  CHECK(best_threshold(f1) > 0.3);
  CHECK(best_threshold(f1) <= 0.6);
  CHECK(f1_by_threshold(map, Image(16, 8, 1)).empty());
  // Four cells of 8 x 8 in a row, ranked alike and the other way round.
  Image up(32, 8, 1), down(32, 8, 1);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 32; ++x) {
      up.at(0, y, x) = 0.2f * static_cast<float>(x / 8) + 0.01f * static_cast<float>(y);
      down.at(0, y, x) = 0.9f - 0.25f * static_cast<float>(x / 8) * static_cast<float>(x / 8) / 4;
    }
  CHECK(compare_maps(up, up).srcc == doctest::Approx(1));
  CHECK(compare_maps(up, down).srcc == doctest::Approx(-1));
}

TEST_CASE("rivals: the oracles point at a planted blur, all keep the size and range") {
  if (!test::have_weights({"niqe"})) return;
  const std::vector<MapRival> rivals = map_rivals();
  const Image clean = test::photo(160, 128);
  Image picture = clean, label(160, 128, 1);
  const Image blurred = filter_separable(clean, gaussian_row(13, 2));
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 80; ++x) {
      label.at(0, y, x) = 1;
      for (int c = 0; c < 3; ++c) picture.at(c, y, x) = blurred.at(c, y, x);
    }
  for (const MapRival& rival : rivals) {
    CAPTURE(rival.name);
    const Image map = rival.map(picture, clean);
    REQUIRE((map.width == 160 && map.height == 128 && map.channels == 1));
    for (const float v : map.data) REQUIRE((v >= 0 && v <= 1));
    if (rival.name == "|x - GT|" || rival.name == "1 - SSIM") CHECK(compare_maps(map, label).auroc > 0.9);
    if (rival.name == "detail") CHECK(compare_maps(map, label).auroc < 0.4);  // the blurred part has less of it
    if (rival.name == "constant") CHECK(compare_maps(map, label).auroc == 0.5);
    CHECK((rival.map(clean, clean).data == map.data) == (rival.name == "constant"));
  }
}
