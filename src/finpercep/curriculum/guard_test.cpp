// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/guard.h"

#include <doctest/doctest.h>

#include <limits>

#include "finpercep/nets/optimise.h"

using namespace finpercep;

namespace {

std::vector<bool> refused(const std::vector<double>& norms, std::size_t saved_at = 1000) {
  GradientGuard guard(5);
  std::vector<bool> out;
  for (std::size_t i = 0; i < norms.size(); ++i) {
    if (i == saved_at) {
      const at::Tensor state = guard.state();
      guard = GradientGuard(5);
      guard.restore(state);
    }
    out.push_back(guard.refuses(norms[i]));
  }
  return out;
}

}  // namespace

TEST_CASE("an update far above the median norm is refused, and a resumed guard decides alike") {
  std::vector<double> norms(12, 1.0);
  norms.insert(norms.end(), {4.9, 5.1, 1.0, std::numeric_limits<double>::quiet_NaN(), 1.0});
  std::vector<bool> expected(norms.size(), false);
  expected[13] = true;
  for (const std::size_t saved_at : {0, 9, 14, 1000}) CHECK(refused(norms, saved_at) == expected);
  CHECK_FALSE(refused({1, 1, 1, 1000}).back());  // too few to know what is usual
  CHECK_FALSE(GradientGuard(0).refuses(1e30));
  std::vector<double> satisfied(20, 0.0);  // says nothing about what is usual
  satisfied.push_back(1);
  CHECK_FALSE(refused(satisfied).back());
}

TEST_CASE("gradients that have become larger for good are let through in the end") {
  std::vector<double> norms(12, 1.0);
  norms.insert(norms.end(), 60, 100.0);
  const std::vector<bool> out = refused(norms);
  CHECK(out[12]);
  CHECK_FALSE(out.back());
}

TEST_CASE("the norm is that of all gradients together") {
  at::Tensor a = at::zeros({2}).requires_grad_(true), b = at::zeros({1}).requires_grad_(true), c = at::zeros({5}).requires_grad_(true);
  CHECK(gradient_norm({a, b, c}) == 0);
  a.mutable_grad() = at::tensor({3.0f, 0.0f});
  b.mutable_grad() = at::tensor({4.0f});
  CHECK(gradient_norm({a, b, c}) == doctest::Approx(5));
}
