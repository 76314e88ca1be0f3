// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <torch/types.h>

#include "finpercep/base/error.h"
#include "finpercep/metrics/dists.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

at::Tensor random_batch(uint64_t item, at::IntArrayRef shape) {
  Random random(2, "dists_test", item);
  return normal_tensor(random, shape).mul_(0.15).add_(0.5).clamp_(0, 1);
}

}  // namespace

TEST_CASE("dists with the published weights") {
  if (!test::have_weights({"dists", "lpips_vgg"})) return;
  const Dists dists = Dists::load();
  CHECK(dists.alpha.sum().item<double>() == doctest::Approx(.87605).epsilon(1e-5));
  CHECK(dists.beta.sum().item<double>() == doctest::Approx(.12395).epsilon(1e-4));
  const at::Tensor x = random_batch(1, {2, 3, 65, 80}), y = random_batch(2, {2, 3, 65, 80});
  CHECK(dists(x, x).abs().max().item<double>() < 1e-5);
  const at::Tensor both = dists(x, y);
  CHECK(both.sizes() == at::IntArrayRef({2}));
  CHECK(both.min().item<double>() > 0.01);
  CHECK(dists(x.narrow(0, 1, 1), y.narrow(0, 1, 1))[0].item<double>() == doctest::Approx(both[1].item<double>()).epsilon(1e-4));
  CHECK(dists(y, x)[0].item<double>() == doctest::Approx(both[0].item<double>()).epsilon(1e-4));
  const at::Tensor moved = x.clone().requires_grad_(true);
  const at::Tensor with_gradient = dists(moved, y);
  CHECK(at::allclose(with_gradient, both, 1e-4, 1e-5));  // the road without gradients is another one
  with_gradient.sum().backward();
  CHECK((dists(x - 0.05 * moved.grad() / moved.grad().norm(), y) < both).all().item<bool>());  // the gradient points uphill
  CHECK_THROWS_WITH_AS(dists(x.narrow(2, 0, 15), y.narrow(2, 0, 15)), doctest::Contains("at least 16 pixels, found 80x15"), Error);
  CHECK_THROWS_AS(dists(x, y.narrow(3, 0, 70)), Error);
}
