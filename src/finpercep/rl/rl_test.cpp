// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "finpercep/rl/refl.h"
#include "finpercep/rl/reward_signal.h"

using namespace finpercep;

namespace {

double value(const at::Tensor& t) { return t.item<double>(); }

at::Tensor normals(uint64_t item, at::IntArrayRef shape) {
  Random random(8, "rl_test", item);
  return normal_tensor(random, shape);
}

GeneratorSettings tiny() {
  GeneratorSettings settings;
  settings.net = {.channels = {8, 8}, .blocks = 1, .unshuffle = 2};
  return settings;
}

// How a generator that learns brightness toward .8 ends: its reward, and how far it went from where it was.
struct Ending {
  double reward, drift;
};
Ending learn_brightness(double reference_weight, double lr_weight) {
  Generator generator(tiny());
  const Generator reference(tiny());
  generator.params.require_grad(true);
  OptimSettings optim;
  AdamW adam(generator.params.all(), optim);
  const at::Tensor y = (0.4 + 0.05 * normals(1, {2, 3, 16, 16})).clamp(0, 1);
  const auto brightness = [](const at::Tensor& x) { return x.mean({1, 2, 3}); };
  for (uint64_t i = 0; i < 40; ++i) {
    Random random(1, "learn", i);
    const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
    const int64_t t = random.integer(1, 2);
    const Prediction p = refl_prediction(generator, y, noise, t);
    at::Tensor x0_reference;
    {
      at::NoGradGuard no_grad;
      x0_reference = reference.predict(p.x_t, y, t);
    }
    const at::Tensor loss = refl_loss(brightness(p.x0), at::full({2}, 0.8)) + reference_weight * reference_anchor(p.x0, x0_reference) +
                            lr_weight * lr_consistency(p.x0, y, 4);
    loss.backward();
    adam.step(5e-4);
  }
  at::NoGradGuard no_grad;
  Random random(2, "test");
  const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  const at::Tensor after = generator.roll_out(y, noise), before = reference.roll_out(y, noise);
  return {value(brightness(after).mean()), value((after - before).abs().mean())};
}

}  // namespace

TEST_CASE("what a file holds: 8 bits, the gradient of the picture as it was; judged in fp32 under bf16's autocast") {
  const at::Tensor x = (normals(50, {1, 3, 64, 64}) * 0.3 + 0.5).requires_grad_();
  const at::Tensor seen = as_file(x), steps = seen.detach() * 255;
  CHECK(at::allclose(steps, steps.round(), 0, 1e-4));
  CHECK((seen - x.clamp(0, 1)).abs().max().item<double>() <= 0.5 / 255 + 1e-6);
  (seen * seen.detach()).sum().backward();
  const at::Tensor inside = ((x >= 0) & (x <= 1)).to(at::kFloat);
  CHECK(at::equal(x.grad(), inside * seen.detach()));

  const RewardModel reward(RewardSettings{}, 3);
  at::NoGradGuard no_grad;
  const at::Tensor exact = reward.judge(seen, 4).score_logit;
  const MixedPrecision precision(at::kCPU, at::kBFloat16);
  CHECK(at::equal(judge_exactly(reward, seen, 4).score_logit, exact));
  CHECK(!at::equal(reward.judge(seen, 4).score_logit.to(at::kFloat), exact));
}

TEST_CASE("the worst region of a map: maximum, mean of the worst share, mean") {
  const at::Tensor map = at::tensor({0.1f,      0.9f, 0.5f, 0.3f, 0.0f, 0.2f, 0.2f, 0.8f, 0.4f, 0.6f,
                                     /**/ 0.5f, 0.1f, 0.2f, 0.3f, 0.4f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f})
                             .view({2, 1, 2, 5});
  const auto check = [&](const std::string& pool, double share, double first, double second) {
    const at::Tensor pooled = pool_map(map, {.pool = pool, .top_share = share});
    CAPTURE(pool);
    CHECK(pooled.sizes() == at::IntArrayRef({2}));
    CHECK(value(pooled[0]) == doctest::Approx(first));
    CHECK(value(pooled[1]) == doctest::Approx(second));
  };
  check("max", 0.2, 0.9, 0.5);
  check("mean", 0.2, 0.4, 0.15);
  check("top", 0.2, (0.9 + 0.8) / 2, (0.5 + 0.4) / 2);
  check("top", 0.3, (0.9 + 0.8 + 0.6) / 3, (0.5 + 0.4 + 0.3) / 3);
  check("top", 0.001, 0.9, 0.5);  // at least one pixel
  check("top", 1, 0.4, 0.15);
}

TEST_CASE("gradients of the pools: one pixel, the worst share, all") {
  const at::Tensor values = at::arange(20, at::kFloat).div(20).view({1, 1, 4, 5});
  const auto touched = [&](const std::string& pool) {
    const at::Tensor map = values.clone().requires_grad_(true);
    pool_map(map, {.pool = pool, .top_share = 0.25}).sum().backward();
    CHECK(value(map.grad().sum()) == doctest::Approx(1));
    CHECK(value(map.grad().flatten()[19]) > 0);
    return value((map.grad() > 0).sum());
  };
  CHECK(touched("max") == 1);
  CHECK(touched("top") == 5);
  CHECK(touched("mean") == 20);
}

TEST_CASE("running score: exponentially forgotten mean and deviation, as a loop gives them") {
  RunningScore running;
  CHECK(running.deviation() == 1);
  double mean = 0, square = 0, weight = 0;
  for (uint64_t i = 0; i < 30; ++i) {
    const at::Tensor scores = 0.5 + 0.2 * normals(i, {4});
    running.add(scores, 0.9);
    double m = 0, s = 0;
    for (int64_t n = 0; n < 4; ++n) {
      m += value(scores[n]) / 4;
      s += value(scores[n]) * value(scores[n]) / 4;
    }
    mean = 0.9 * mean + 0.1 * m;
    square = 0.9 * square + 0.1 * s;
    weight = 0.9 * weight + 0.1;
    if (i == 0) CHECK(running.mean / running.weight == doctest::Approx(m));  // no pull toward zero at the start
  }
  CHECK(running.mean == doctest::Approx(mean));
  CHECK(running.deviation() == doctest::Approx(std::sqrt(square / weight - mean * mean / weight / weight)));
  RunningScore still;
  for (int i = 0; i < 5; ++i) still.add(at::full({3}, 0.7));
  CHECK(still.deviation() == 0.1);
}

TEST_CASE("the reward: weighted normalised score plus weighted 1 - severity") {
  Judgement judgement;
  judgement.score_logit = at::tensor({0.2f, 0.9f});
  judgement.map = at::tensor({0.1f, 0.3f, 0.0f, 0.6f}).view({2, 1, 1, 2});
  RunningScore running{.mean = 0.3, .square = 0.2, .weight = 0.5};  // mean .6, deviation .2
  RewardSignalSettings settings;
  settings.score_weight = 2;
  settings.map_weight = 3;
  settings.pool = "max";
  const at::Tensor reward = reward_value(judgement, running, settings);
  CHECK(value(reward[0]) == doctest::Approx(2 * (0.2 - 0.6) / 0.2 + 3 * (1 - 0.3)));
  CHECK(value(reward[1]) == doctest::Approx(2 * (0.9 - 0.6) / 0.2 + 3 * (1 - 0.6)));
  settings.pool = "mean";
  CHECK(value(reward_value(judgement, running, settings)[1]) == doctest::Approx(2 * 1.5 + 3 * 0.7));
  CHECK(value(reward_value(judgement, RunningScore(), settings)[0]) == doctest::Approx(2 * 0.2 + 3 * 0.8));
}

TEST_CASE("ReFL: no gradient where the reward has reached its target") {
  const at::Tensor reward = at::tensor({0.2f, 0.9f, 0.5f}).requires_grad_(true);
  const at::Tensor loss = refl_loss(reward, at::tensor({0.6f, 0.6f, 0.8f}));
  CHECK(value(loss) == doctest::Approx((0.4 + 0 + 0.3) / 3));
  loss.backward();
  CHECK(at::allclose(reward.grad(), at::tensor({-1.0f / 3, 0.0f, -1.0f / 3})));
}

TEST_CASE("ReFL: the chain to step t is without gradient, the step itself with it") {
  Generator generator(tiny());
  for (std::size_t i = 0; i < generator.params.named().size(); ++i)
    generator.params.named()[i].second.add_(0.1 * normals(100 + i, generator.params.named()[i].second.sizes()));
  generator.params.require_grad(true);
  const at::Tensor y = 0.5 + 0.1 * normals(1, {1, 3, 8, 8});
  Random random(1, "noise");
  const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  for (int64_t t = 1; t <= 4; ++t) {
    const Prediction p = refl_prediction(generator, y, noise, t);
    CHECK_FALSE(p.x_t.requires_grad());
    CHECK(p.x0.requires_grad());
    at::NoGradGuard no_grad;
    const at::Tensor x_t = generator.roll_out(y, noise, t);
    CHECK(at::equal(p.x_t, x_t));
    CHECK(at::equal(p.x0.detach(), generator.predict(x_t, y, t)));
  }
}

TEST_CASE("anchors are zero at home; LR consistency sees colour and brightness, not texture") {
  const at::Tensor y = 0.5 + 0.1 * normals(1, {2, 3, 16, 16});
  CHECK(value(reference_anchor(y, y)) == 0);
  CHECK(value(reference_anchor(y + 0.1, y)) == doctest::Approx(0.01).epsilon(1e-4));
  CHECK(value(lr_consistency(y, y, 8)) == 0);
  const at::Tensor i = at::arange(16, at::kFloat), checker = ((i.view({16, 1}) + i.view({1, 16})).remainder(2) * 2 - 1) * 0.2;
  CHECK(value(lr_consistency(y + checker, y, 8)) < 1e-6);
  CHECK(value(reference_anchor(y + checker, y)) == doctest::Approx(0.04).epsilon(1e-4));
  CHECK(value(lr_consistency(y + 0.1, y, 8)) == doctest::Approx(0.1).epsilon(1e-4));
  CHECK(value(lr_consistency(y + checker, y, 1)) == doctest::Approx(0.2).epsilon(1e-4));
}

TEST_CASE("ReFL learns: the reward rises toward its target and not beyond, anchors bound the drift") {
  const Ending free = learn_brightness(0, 0), anchored = learn_brightness(10, 0), faithful = learn_brightness(0, 2);
  CAPTURE(free.reward);
  CAPTURE(anchored.reward);
  CAPTURE(faithful.reward);
  CHECK(free.reward > 0.65);
  CHECK(free.reward < 1);         // momentum alone carries it past the target
  CHECK(anchored.reward > 0.42);  // from .4; reward's pull and anchor's balance at 1 / (2 * 10) = .05
  CHECK(anchored.drift < 0.1);
  CHECK(anchored.drift < 0.5 * free.drift);
  CHECK(faithful.drift < 0.5 * free.drift);
}
