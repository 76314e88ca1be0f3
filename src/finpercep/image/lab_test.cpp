// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/lab.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace finpercep;

TEST_CASE("CIELAB of sRGB: known colours, and back") {
  const auto near = [](const Triple& found, const Triple& expected, double within) {
    for (int c = 0; c < 3; ++c) CHECK(std::abs(found[c] - expected[c]) < within);
  };
  near(lab_of({1, 1, 1}), {100, 0, 0}, 0.02);
  near(lab_of({1, 0, 0}), {53.24, 80.09, 67.20}, 0.02);  // as published for D65, e.g. by Lindbloom
  near(lab_of({0, 1, 0}), {87.73, -86.18, 83.18}, 0.02);
  near(lab_of({0, 0, 1}), {32.30, 79.19, -107.86}, 0.02);
  near(lab_of({0.5, 0.5, 0.5}), {53.39, 0, 0}, 0.02);
  for (const Triple& rgb : {Triple{0, 0, 0}, Triple{0.01, 0.02, 0.003}, Triple{0.2, 0.7, 0.4}, Triple{1, 0.9, 0.1}})
    near(rgb_of(lab_of(rgb)), rgb, 1e-6);
}
