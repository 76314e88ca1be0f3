// SPDX-License-Identifier: Apache-2.0
// Golden numbers: scipy 1.17.1, scipy.stats.wilcoxon(d, method="exact"), (d, method=PermutationMethod(n_resamples=10**6)) where there are
// ties, and (d, method="asymptotic", correction=True, zero_method="wilcox") for many.
#include "finpercep/evaluate/wilcoxon.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "finpercep/base/error.h"

using namespace finpercep;

namespace {

SignedRank test(const std::vector<double>& differences) {
  return wilcoxon_signed_rank(differences, std::vector<double>(differences.size(), 0.0));
}

}  // namespace

TEST_CASE("wilcoxon: exact for few, as scipy has it") {
  const SignedRank plain = test({0.5, -0.2, 0.3, 0.8, -0.1, 0.9, 0.4, -0.6});
  CHECK(plain.statistic == 9);
  CHECK(plain.p == doctest::Approx(0.25).epsilon(1e-12));
  CHECK(plain.count == 8);
  const SignedRank tied = test({1, -1, 2, 2, -3, 4, 5, 0, 5, 6});
  CHECK(tied.statistic == 6.5);
  CHECK(tied.p == doctest::Approx(0.0625).epsilon(1e-12));
  CHECK(tied.count == 9);
}

TEST_CASE("wilcoxon: normal with ties and continuity for many, as scipy has it") {
  std::vector<double> differences;
  for (int i = 0; i < 60; ++i) differences.push_back(std::round(10 * (std::sin(1.7 * i) + 0.25)));
  const SignedRank many = test(differences);
  CHECK(many.statistic == 495.5);
  CHECK(many.p == doctest::Approx(0.008521413369686332).epsilon(1e-12));
  CHECK(many.count == 57);
}

TEST_CASE("wilcoxon: neither order nor sign matters; nothing to rank is no difference") {
  CHECK(wilcoxon_signed_rank({1, 5, 2}, {3, 1, 9}).p == wilcoxon_signed_rank({9, 1, 3}, {2, 5, 1}).p);
  CHECK(test({}).p == 1);
  CHECK(test({0, 0, std::numeric_limits<double>::quiet_NaN()}).p == 1);
  CHECK(test({1, -1}).p == 1);
  CHECK_THROWS_AS(wilcoxon_signed_rank({1, 2}, {1}), Error);
}
