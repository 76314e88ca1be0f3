// SPDX-License-Identifier: Apache-2.0
// The learning rules on numbers that were worked out by hand, and their gradients against finite differences.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "finpercep/generate/flow.h"
#include "finpercep/rl/awm.h"
#include "finpercep/rl/dpo.h"
#include "finpercep/rl/draft.h"
#include "finpercep/rl/grpo.h"
#include "finpercep/rl/nft.h"

using namespace finpercep;

namespace {

double value(const at::Tensor& t) { return t.item<double>(); }

at::Tensor normals(uint64_t item, at::IntArrayRef shape) {
  Random random(4, "algorithms_test", item);
  return normal_tensor(random, shape);
}

Advantage advantage(at::Tensor value) {
  Advantage out;
  out.live = at::ones_like(value);
  out.value = std::move(value);
  return out;
}
Advantage one(double a) { return advantage(at::full({1, 1, 1, 1}, a)); }
at::Tensor number(double v) { return at::full({1, 1, 1, 1}, v); }

// The gradient of f at x against central differences, at a few places.
void check_gradient(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& at, double h, double tolerance) {
  const at::Tensor x = at.clone().requires_grad_(true);
  f(x).backward();
  REQUIRE(x.grad().defined());
  for (int64_t i = 0; i < x.numel(); i += std::max<int64_t>(1, x.numel() / 7)) {
    at::Tensor up = at.clone(), down = at.clone();
    up.view(-1)[i] += h;
    down.view(-1)[i] -= h;
    const double slope = (value(f(up)) - value(f(down))) / (2 * h);
    CAPTURE(i);
    CHECK(std::abs(slope - value(x.grad().view(-1)[i])) < tolerance * std::max(1.0, std::abs(slope)));
  }
}

double gradient(const std::function<at::Tensor(const at::Tensor&)>& f, double at) {
  const at::Tensor x = number(at).requires_grad_(true);
  f(x).backward();
  return value(x.grad());
}

GeneratorSettings tiny() {
  GeneratorSettings settings;
  settings.net = {.channels = {8, 8}, .blocks = 1, .unshuffle = 2};
  return settings;
}

}  // namespace

// --- GRPO

TEST_CASE("GRPO: PPO's clipped loss by a loop, and what is outside of the clip range") {
  const double log_ratios[] = {0.3, -0.3, 0.05, 0.3, -0.3}, advantages[] = {1, 1, -2, -1, -1};
  at::Tensor l = at::empty({5, 1, 1, 1}), a = at::empty({5, 1, 1, 1});
  double expected = 0;
  for (int i = 0; i < 5; ++i) {
    l[i].fill_(log_ratios[i]);
    a[i].fill_(advantages[i]);
    const double r = std::exp(log_ratios[i]), c = std::min(1.2, std::max(0.8, r));
    expected += std::max(-advantages[i] * r, -advantages[i] * c) / 5;
  }
  const GrpoLoss loss = grpo_loss(l, advantage(a), 0.2);
  CHECK(value(loss.loss) == doctest::Approx(expected));
  CHECK(loss.clip_fraction == doctest::Approx(0.8));
  // No gradient where a rewarded picture is already likelier than the range allows, or a bad one less likely.
  const at::Tensor x = l.clone().requires_grad_(true);
  grpo_loss(x, advantage(a), 0.2).loss.backward();
  CHECK(value(x.grad()[0]) == 0);
  CHECK(value(x.grad()[1]) == doctest::Approx(-std::exp(-0.3) / 5));
  CHECK(value(x.grad()[2]) == doctest::Approx(2 * std::exp(0.05) / 5));
  CHECK(value(x.grad()[3]) == doctest::Approx(std::exp(0.3) / 5));
  CHECK(value(x.grad()[4]) == 0);
}

TEST_CASE("GRPO: at the first update the loss is minus the mean advantage and its gradient is the policy gradient") {
  const at::Tensor mean = normals(1, {4, 3, 8, 8}), x = mean + 0.3 * normals(2, {4, 3, 8, 8});
  const Advantage a = advantage(normals(3, {4, 1, 2, 2}));
  for (const bool guard : {false, true}) {
    const at::Tensor now = mean.clone().requires_grad_(true);
    const at::Tensor l = guard ? guarded_log_ratio({now, 0.3}, {mean, 0.3}, x, 4) : log_ratio({now, 0.3}, {mean, 0.3}, x, 4);
    CHECK(at::equal(l, at::zeros_like(l)));
    const GrpoLoss loss = grpo_loss(l, a, 1e-4);
    CHECK(loss.ratio_mean == 1);
    CHECK(loss.clip_fraction == 0);
    CHECK(value(loss.loss) == doctest::Approx(-value(a.value.mean())));
    loss.loss.backward();
    // d/dmean of the mean of -A log N(x; mean) over cells and numbers; the guard's is `std` times that.
    const at::Tensor pixels = at::upsample_nearest2d(a.value, {8, 8});
    const at::Tensor expected = -pixels * (x - mean) / (0.09 * static_cast<double>(x.numel())) * (guard ? 0.3 : 1.0);
    CHECK(at::allclose(now.grad(), expected, 1e-3, 1e-6));
  }
}

TEST_CASE("GRPO's gradient: finite differences through the ratio of a chain's step") {
  const at::Tensor old = normals(1, {2, 3, 4, 4}), x = old + 0.5 * normals(2, {2, 3, 4, 4}), at = old + 0.02 * normals(3, {2, 3, 4, 4});
  const Advantage a = advantage(normals(4, {2, 1, 2, 2}));
  check_gradient([&](const at::Tensor& m) { return 100 * grpo_loss(log_ratio({m, 0.5}, {old, 0.5}, x, 2), a, 0.5).loss; }, at, 1e-2, 2e-2);
  check_gradient(
      [&](const at::Tensor& m) {
        return 100 * grpo_loss(guarded_log_ratio({m, 0.5}, {old, 0.5}, x, 2), a, 0.5).loss;
      },
      at, 1e-2, 2e-2);
}

TEST_CASE("GRPO-Guard: log ratios without the bias below 0, and weights by the length of a step") {
  const at::Tensor old = at::zeros({64, 3, 16, 16}), shift = 0.5 * normals(1, {64, 3, 16, 16}), x = 0.4 * normals(2, {64, 3, 16, 16});
  const GaussianStep now{old + shift, 0.4}, before{old, 0.4};
  const double bias = -value((shift.square() / (2 * 0.16)).mean());
  CHECK(value(log_ratio(now, before, x, 0).mean()) == doctest::Approx(bias).epsilon(0.05));
  CHECK(std::abs(value(guarded_log_ratio(now, before, x, 0).mean())) < 0.05 * std::abs(bias));
  // The published form.
  const at::Tensor published = 0.4 * log_ratio(now, before, x, 0) + shift.square().mean({1, 2, 3}, true) / (2 * 0.4);
  CHECK(at::allclose(guarded_log_ratio(now, before, x, 0), published, 1e-3, 1e-4));
  const ResShiftSchedule schedule = resshift_schedule(4, 1, 0.2);
  double mean = 0;
  for (int64_t t : {2, 3, 4}) mean += guard_weight(schedule, t, {2, 3, 4}, {}) / 3;
  CHECK(mean == doctest::Approx(1));
  CHECK(guard_weight(schedule, 2, {2, 3, 4}, {}) / guard_weight(schedule, 4, {2, 3, 4}, {}) ==
        doctest::Approx(schedule.eta[2] / schedule.alpha(2) / (schedule.eta[4] / schedule.alpha(4))).epsilon(1e-4));
  // A step of the prediction moves the mean of each step, times its weight, by as much.
  for (const auto& [chain, sampler] : {std::pair{schedule, "sde"}, {flow_schedule(4, 1), "sde"}, {flow_schedule(4, 1), "cps"}}) {
    const at::Tensor x = number(0.3), y = number(0.2);
    const PolicySettings policy{.flow_sampler = sampler, .flow_noise = 0.7};
    const auto pull = [&](int64_t t) {
      const auto mean = [&](double x0) { return value(policy_step(chain, x, y, number(x0), t, policy).mean.sum()); };
      return guard_weight(chain, t, {2, 3, 4}, policy) * (mean(0.6) - mean(0.5));
    };
    CHECK(pull(2) == doctest::Approx(pull(3)).epsilon(1e-4));
    CHECK(pull(2) == doctest::Approx(pull(4)).epsilon(1e-4));
  }
}

// --- NFT

TEST_CASE("NFT, golden: at f = f_old the loss is .6 for every r; away from it .7, .6, .5") {
  const double r_as_advantage[] = {-1, 0, 1}, moved[] = {0.7, 0.6, 0.5};  // c = 1: r = 0, .5, 1 at A = -1 .. 1
  for (int i = 0; i < 3; ++i) {
    CHECK(value(optimality(number(r_as_advantage[i]), 1)) == doctest::Approx(0.5 * i));
    CHECK(value(nft_loss(number(1), number(0.4), number(0.4), one(r_as_advantage[i]), 1, 1, 0)) == doctest::Approx(0.6));
    CHECK(value(nft_loss(number(1), number(0.5), number(0.4), one(r_as_advantage[i]), 1, 1, 0)) == doctest::Approx(moved[i]));
  }
  CHECK(value(optimality(number(7), 2.5)) == 1);
  CHECK(value(optimality(number(-7), 2.5)) == 0);
}

TEST_CASE("NFT: the gradient pulls toward a good picture, pushes from a bad one, in proportion to 2 r - 1") {
  const auto slope = [&](double a, double beta) {
    return gradient([&](const at::Tensor& f) { return nft_loss(number(1), f, number(0.4), one(a), beta, 1, 0); }, 0.4);
  };
  CHECK(slope(1, 1) < 0);  // f must rise from .4 toward 1
  CHECK(slope(-1, 1) == doctest::Approx(-slope(1, 1)));
  CHECK(std::abs(slope(0, 1)) < 1e-6);
  CHECK(slope(0.5, 1) == doctest::Approx(0.5 * slope(1, 1)));
  CHECK(slope(1, 0.1) == doctest::Approx(slope(1, 1)));  // w beta: the strength does not depend on beta at the start
}

TEST_CASE("NFT's algebra: c/2 (L+ + L-) + A/2 (L+ - L-), and finite differences where the weights w are held") {
  const at::Tensor x0 = at::rand({2, 3, 4, 4}), old = x0 + 0.2 * normals(1, {2, 3, 4, 4}), f = old + 0.05 * normals(2, {2, 3, 4, 4});
  const double beta = 0.7, c = 1.5, a = 0.8;
  const auto side = [&](const at::Tensor& g) {
    return ((g - x0).square().mean({1, 2, 3}) / ((g - x0).abs().mean({1, 2, 3}) * beta)).mean();
  };
  const double plus = value(side(beta * f + (1 - beta) * old)), minus = value(side((1 + beta) * old - beta * f));
  CHECK(value(nft_loss(x0, f, old, advantage(at::full({2, 1, 1, 1}, a)), beta, c, 0)) ==
        doctest::Approx(c / 2 * (plus + minus) + a / 2 * (plus - minus)).epsilon(1e-4));
  // w is without gradient: compare with the plain formula that has today's w as constants.
  const Advantage cells = advantage(normals(3, {2, 1, 2, 2}));
  const at::Tensor w_plus = (beta * (f - old) + old - x0).abs().mean({1, 2, 3}, true),
                   w_minus = (old - beta * (f - old) - x0).abs().mean({1, 2, 3}, true);
  const at::Tensor r = optimality(cells.value, c);
  const auto plain = [&](const at::Tensor& g) {
    return c * (r * cell_mean((beta * (g - old) + old - x0).square(), 2) / (w_plus * beta) +
                (1 - r) * cell_mean((old - beta * (g - old) - x0).square(), 2) / (w_minus * beta))
                   .mean();
  };
  const at::Tensor g1 = f.clone().requires_grad_(true), g2 = f.clone().requires_grad_(true);
  nft_loss(x0, g1, old, cells, beta, c, 2).backward();
  plain(g2).backward();
  CHECK(at::allclose(g1.grad(), g2.grad(), 1e-4, 1e-6));
  check_gradient([&](const at::Tensor& g) { return 100 * plain(g); }, f, 1e-2, 2e-2);
}

TEST_CASE("NFT of a flow: v+ and v- give the predictions that the form in x0 uses") {
  const at::Tensor x_t = normals(1, {1, 3, 4, 4}), f = normals(2, {1, 3, 4, 4}), old = normals(3, {1, 3, 4, 4});
  const double t = 0.6, beta = 0.3;
  const at::Tensor v = flow_velocity(x_t, f, t), v_old = flow_velocity(x_t, old, t);
  CHECK(at::allclose(x_t - t * (beta * v + (1 - beta) * v_old), beta * f + (1 - beta) * old, 1e-4, 1e-5));
  CHECK(at::allclose(x_t - t * ((1 + beta) * v_old - beta * v), (1 + beta) * old - beta * f, 1e-4, 1e-5));
}

TEST_CASE("NFT: the old policy follows freely at first, then keeps up to half of itself") {
  const NftSettings settings;
  CHECK(old_policy_decay(0, settings) == 0);
  CHECK(old_policy_decay(100, settings) == doctest::Approx(0.1));
  CHECK(old_policy_decay(100000, settings) == 0.5);
}

// --- DPO

TEST_CASE("DPO, golden: log 2 at the start; beta 2000, .020/.021 against .030/.0295 gives z 1.5 and .201413") {
  const at::Tensor live = at::ones({1, 1, 1, 1});
  const DpoLoss start = dpo_loss(number(0.02), number(0.02), number(0.03), number(0.03), live, 2000);
  CHECK(value(start.loss) == doctest::Approx(std::log(2.0)));
  CHECK(start.accuracy == 0);
  const DpoLoss later = dpo_loss(number(0.020), number(0.021), number(0.030), number(0.0295), live, 2000);
  CHECK(value(later.loss) == doctest::Approx(0.201413).epsilon(1e-4));
  CHECK(later.accuracy == 1);
  CHECK(later.winner == doctest::Approx(-0.001).epsilon(1e-3));
  CHECK(later.loser == doctest::Approx(0.0005).epsilon(1e-3));
  // The mean is taken after the sigmoid's logarithm.
  const at::Tensor w = at::tensor({0.020f, 0.030f}).view({2, 1, 1, 1}), w_ref = at::tensor({0.021f, 0.029f}).view({2, 1, 1, 1}),
                   zero = at::zeros({2, 1, 1, 1});
  CHECK(value(dpo_loss(w, w_ref, zero, zero, at::ones({2, 1, 1, 1}), 2000).loss) ==
        doctest::Approx((std::log1p(std::exp(-1.0)) + std::log1p(std::exp(1.0))) / 2).epsilon(1e-3));
}

TEST_CASE("DPO's gradient: the winner's error falls, the loser's rises, as finite differences say; without difference it is zero") {
  const at::Tensor ref = at::full({3, 2, 1, 1}, 0.02), live = at::ones_like(ref), other = ref + 0.001 * normals(1, ref.sizes());
  const at::Tensor at = ref + 0.001 * normals(2, ref.sizes());
  check_gradient([&](const at::Tensor& w) { return dpo_loss(w, ref, other, ref, live, 2000).loss; }, at, 1e-5, 3e-2);
  check_gradient([&](const at::Tensor& l) { return dpo_loss(other, ref, l, ref, live, 2000).loss; }, at, 1e-5, 3e-2);
  CHECK(gradient([&](const at::Tensor& w) { return dpo_loss(w, number(0.02), number(0.02), number(0.02), number(1), 10).loss; }, 0.02) > 0);
  CHECK(gradient([&](const at::Tensor& l) { return dpo_loss(number(0.02), number(0.02), l, number(0.02), number(1), 10).loss; }, 0.02) < 0);
  CHECK(gradient([&](const at::Tensor& w) { return dpo_loss(w, number(0.02), number(0.02), number(0.02), number(0), 10).loss; }, 0.02) ==
        0);
}

TEST_CASE("pairs: the i-th best with the i-th worst, at each cell; equal pictures make none") {
  at::Tensor a = at::tensor({0.1f, 0.9f, -0.5f, 0.3f, /**/ 0.f, 0.f, 0.f, 0.f}).view({8, 1, 1, 1}).repeat({1, 1, 1, 2});
  a.slice(0, 0, 4).select(3, 1).mul_(-1);
  const Pairs pairs = best_and_worst(advantage(a), 4, 2);
  CHECK(pairs.winner.sizes() == at::IntArrayRef({2, 2, 1, 2}));
  const int64_t winners[] = {1, 3}, losers[] = {2, 0};
  for (int64_t k = 0; k < 2; ++k) {
    CHECK(value(pairs.winner[0][k][0][0]) == winners[k]);
    CHECK(value(pairs.loser[0][k][0][0]) == losers[k]);
    CHECK(value(pairs.winner[0][k][0][1]) == losers[k]);
    CHECK(value(pairs.loser[0][k][0][1]) == winners[k]);
  }
  CHECK(at::equal(pairs.live, at::cat({at::ones({1, 2, 1, 2}), at::zeros({1, 2, 1, 2})})));
  const at::Tensor picked = of_pairs(at::arange(8, at::kFloat).view({8, 1, 1, 1}), pairs.winner, 4);
  CHECK(value(picked[0][0][0][0]) == 1);
  CHECK(value(picked[0][0][0][1]) == 2);
}

// --- AWM

TEST_CASE("AWM: toward a good picture and from a bad one in proportion to the advantage, as finite differences say") {
  CHECK(value(awm_loss(number(1), number(0.4), one(2), 0)) == doctest::Approx(2 * 0.36));
  for (const double a : {1.0, -0.5})
    CHECK(gradient([&](const at::Tensor& f) { return awm_loss(number(1), f, one(a), 0); }, 0.4) == doctest::Approx(-1.2 * a));
  const at::Tensor x0 = normals(1, {4, 3, 8, 8}).to(at::kDouble);
  const Advantage by_cell = advantage(normals(2, {4, 1, 2, 2}).to(at::kDouble));
  check_gradient([&](const at::Tensor& f) { return awm_loss(x0, f, by_cell, 4); }, normals(3, {4, 3, 8, 8}).to(at::kDouble), 1e-4, 1e-6);
}

// --- all

TEST_CASE("groups without difference: no gradient at all from GRPO, AWM, NFT and DPO") {
  const Advantage dead = fuse_advantages({{1, at::ones({4, 1, 1, 1})}}, 4, 5);
  const at::Tensor old = normals(1, {4, 3, 4, 4}), x = old + 0.3 * normals(2, {4, 3, 4, 4});
  const auto none = [&](const at::Tensor& loss, const at::Tensor& input) {
    loss.backward();
    CHECK(value(loss) == 0);
    CHECK(value(input.grad().abs().max()) == 0);
  };
  const at::Tensor m = (old + 0.1).requires_grad_(true), f = (old + 0.1).requires_grad_(true),
                   l = at::rand({4, 1, 1, 1}).requires_grad_(true);
  none(grpo_loss(log_ratio({m, 0.3}, {old, 0.3}, x, 0), dead, 1e-4).loss, m);
  none(nft_loss(x, f, old, dead, 1, 1, 0), f);
  const at::Tensor g = (old + 0.1).requires_grad_(true);
  none(awm_loss(x, g, dead, 0), g);
  const Pairs pairs = best_and_worst(dead, 4, 1);
  const at::Tensor ref = at::zeros({1, 1, 1, 1});
  none(dpo_loss(of_pairs(l, pairs.winner, 4), ref, of_pairs(l, pairs.loser, 4), ref, pairs.live, 2000).loss, l);
}

TEST_CASE("DRaFT-K: the picture of the chain, with the gradient of its last K steps") {
  Generator generator(tiny());
  for (std::size_t i = 0; i < generator.params.named().size(); ++i)
    generator.params.named()[i].second.add_(0.05 * normals(100 + i, generator.params.named()[i].second.sizes()));
  generator.params.require_grad(true);
  const at::Tensor y = 0.5 + 0.1 * normals(1, {1, 3, 8, 8});
  Random random(1, "noise");
  const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  const at::Tensor picture = generator.roll_out(y, noise).detach();
  const at::Tensor bias = generator.params.all().back();
  std::vector<double> sizes;
  for (int64_t k = 1; k <= 4; ++k) {
    const Prediction p = draft_prediction(generator, y, noise, k);
    CHECK(at::allclose(p.x0, picture, 1e-5, 1e-6));
    CHECK_FALSE(p.x_t.requires_grad());
    p.x0.square().mean().backward();
    sizes.push_back(value(bias.grad().abs().sum()));
    if (k == 4) {  // the whole chain: the true derivative with respect to a weight
      const auto at_bias = [&](double shift) {
        at::NoGradGuard no_grad;
        bias.view(-1)[0].add_(shift);
        const double out = value(generator.roll_out(y, noise).square().mean());
        bias.view(-1)[0].sub_(shift);
        return out;
      };
      const double h = 1e-2;
      CHECK(value(bias.grad().view(-1)[0]) == doctest::Approx((at_bias(h) - at_bias(-h)) / (2 * h)).epsilon(2e-2));
    }
    for (at::Tensor p2 : generator.params.all()) p2.mutable_grad() = at::Tensor();
  }
  const Prediction one_step = refl_prediction(generator, y, noise, 1), k1 = draft_prediction(generator, y, noise, 1);
  CHECK(at::equal(one_step.x0, k1.x0));  // K = 1 is ReFL's last step
  CHECK(sizes[0] != doctest::Approx(sizes[3]));
}
