// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/localise.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"

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
  const MapAgreement perfect = compare_maps(label, label), reversed = compare_maps(row({0, 0, 1, 1}), label), flat = compare_maps(row({0.3f, 0.3f, 0.3f, 0.3f}), label);
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
