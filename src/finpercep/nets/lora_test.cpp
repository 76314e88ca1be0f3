// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/lora.h"

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/blocks.h"
#include "finpercep/nets/optimise.h"

using namespace finpercep;

TEST_CASE("adapters: nothing changes at first; gradients of the factors are those of autograd; what has no adapter stays") {
  Params params(1);
  const Conv conv = make_conv(params, "conv", 6, 8, 3);
  const Linear linear = make_linear(params, "linear", 8, 5);
  params.require_grad(true);
  const std::vector<at::Tensor> before = clone_values(params.all());
  const Lora lora(params.named(), {.rank = 2, .alpha = 6}, 3);
  CHECK(lora.factors().size() == 4);
  CHECK(lora.factors()[0].first == "conv.weight.lora_A");
  CHECK(lora.factors()[0].second.sizes() == at::IntArrayRef({2, 54}));
  CHECK(lora.factors()[1].second.sizes() == at::IntArrayRef({8, 2}));
  lora.apply();
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(at::equal(before[i], params.all()[i]));

  Random random(0, "test");
  std::vector<at::Tensor> factors;
  for (const auto& [name, value] : lora.factors()) factors.push_back(value);
  {
    at::NoGradGuard no_grad;
    for (const at::Tensor& factor : factors) factor.copy_(normal_tensor(random, factor.sizes()));
  }
  lora.apply();
  const at::Tensor x = normal_tensor(random, {2, 6, 7, 7});
  linear(conv(x).mean({2, 3})).square().sum().backward();
  lora.take_gradients();
  std::vector<at::Tensor> ours;
  for (const at::Tensor& factor : factors) {
    ours.push_back(factor.grad().clone());
    factor.mutable_grad().reset();
  }
  // The same by autograd through W_0 + 3 B A.
  Conv plain = conv;
  plain.weight = before[0] + 3 * at::mm(factors[1], factors[0]).view_as(before[0]);
  Linear plain_linear = linear;
  plain_linear.weight = before[2] + 3 * at::mm(factors[3], factors[2]);
  plain_linear(plain(x).mean({2, 3})).square().sum().backward();
  for (std::size_t i = 0; i < factors.size(); ++i) CHECK(at::allclose(ours[i], factors[i].grad(), 1e-4, 1e-4));
  CHECK(!conv.weight.grad().defined());
  CHECK(!conv.bias.requires_grad());

  AdamW optimiser(factors, {.lr = 0.1});
  optimiser.step(0.1);
  lora.apply();
  CHECK(!at::equal(before[0], conv.weight));
  CHECK(at::equal(before[1], conv.bias));
}

TEST_CASE("a rank that no weight can have is a usage error") {
  Params params(1);
  make_linear(params, "linear", 8, 5);
  try {
    const Lora lora(params.named(), {.rank = 5}, 0);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("lora.rank") != std::string::npos);
  }
}
