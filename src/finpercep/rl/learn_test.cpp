// SPDX-License-Identifier: Apache-2.0
// Every algorithm must win a toy: a tiny generator, a reward that is the brightness of the picture, a few dozen updates.
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <functional>

#include "finpercep/rl/awm.h"
#include "finpercep/rl/dpo.h"
#include "finpercep/rl/draft.h"
#include "finpercep/rl/grpo.h"
#include "finpercep/rl/nft.h"

using namespace finpercep;

namespace {

constexpr int64_t group = 16, groups = 2;

struct Toy {
  explicit Toy(const std::string& policy) : generator(settings(policy)), reference(settings(policy)), old(settings(policy)) {
    at::set_num_threads(1);  // pictures of 8 x 8 are faster without
    // A new net's picture is y whatever the noise: nothing to compare. These weights make its pictures differ.
    Random random(3, "toy");
    for (const at::Tensor& p : generator.params.all()) p.add_(0.05 * normal_tensor(random, p.sizes()));
    copy_values(generator.params.all(), reference.params.all());
    copy_values(generator.params.all(), old.params.all());
    generator.params.require_grad(true);
    y = (0.4 + 0.05 * normal_tensor(random, {groups, 3, 8, 8})).clamp(0, 1);
    many = y.repeat_interleave(group, 0);
  }
  static GeneratorSettings settings(const std::string& policy) {
    GeneratorSettings s;
    s.policy = policy;
    s.net = {.channels = {8, 8}, .blocks = 1, .unshuffle = 2};
    return s;
  }
  Rollout make(const Generator& by, uint64_t i) const {
    Random random(seed, "rollout", i);
    return roll_out_policy(by, many, draw_policy_noise(by, random, many.sizes(), at::kCPU), {});
  }
  // Pictures are paid for their brightness: as a whole, or by cell.
  Advantage pay(const at::Tensor& picture, int64_t cell, double clip) const {
    return fuse_advantages({{1.0, cell_mean(picture, cell)}}, group, clip);
  }
  double brightness() const {
    at::NoGradGuard no_grad;
    Random random(2, "test");
    return generator.roll_out(y, generator.draw_noise(random, y.sizes(), at::kCPU)).mean().item<double>();
  }
  Generator generator, reference, old;
  at::Tensor y, many;
  uint64_t seed = 7;
};

using Update = std::function<at::Tensor(Toy&, const Rollout&, const Advantage&, uint64_t i)>;

// How much brighter the pictures have become.
double learn(const std::string& policy, int64_t cell, double lr, int iterations, const Update& loss, int updates = 1, bool from_old = false,
             uint64_t seed = 7) {
  Toy toy(policy);
  toy.seed = seed;
  const double before = toy.brightness();
  AdamW adam(toy.generator.params.all(), {});
  for (int i = 0; i < iterations; ++i) {
    const Rollout rollout = toy.make(from_old ? toy.old : toy.generator, static_cast<uint64_t>(i));
    const Advantage advantage = toy.pay(rollout.picture(), cell, 2.5);
    for (int u = 0; u < updates; ++u) {
      loss(toy, rollout, advantage, static_cast<uint64_t>(updates * i + u)).backward();
      adam.step(lr);
    }
    if (from_old) update_ema(toy.old.params.all(), toy.generator.params.all(), old_policy_decay(i, {}));
  }
  const double gain = toy.brightness() - before;
  MESSAGE(policy << " gains " << gain);
  return gain;
}

at::Tensor noised(const Toy& toy, const at::Tensor& x0, int64_t t, uint64_t i, bool shared) {
  Random random(9, "state", i);
  const at::Tensor e = shared ? normal_tensor(random, toy.y.sizes()).repeat_interleave(group, 0) : normal_tensor(random, x0.sizes());
  return diffuse(toy.generator.schedule, x0, toy.many, e, at::full({x0.size(0)}, t, at::kLong));
}

at::Tensor no_grad_prediction(const Generator& generator, const at::Tensor& x_t, const at::Tensor& y, int64_t t) {
  at::NoGradGuard no_grad;
  return generator.predict(x_t, y, t);
}

at::Tensor flat_gradient(const at::Tensor& loss, const Toy& toy) {
  loss.backward();
  std::vector<at::Tensor> all;
  for (const at::Tensor& p : toy.generator.params.all()) {
    all.push_back(p.grad().flatten().clone());
    p.mutable_grad().zero_();
  }
  return at::cat(all);
}

}  // namespace

TEST_CASE("GRPO by picture: its mean gradient is that of the mean reward, found by differentiating the chain itself") {
  // Over random draws E[A d log p] = d E[R]; the chain's own derivative at the same draws (steps T .. 2; the last one draws nothing) has
  // the same mean.
  for (const char* policy : {"resshift", "flow"}) {
    Toy toy(policy);
    const int64_t steps = toy.generator.schedule.steps(), count = 2048, numbers = 3 * 8 * 8;
    toy.many = toy.y.narrow(0, 0, 1).repeat({count, 1, 1, 1});
    const Rollout r = toy.make(toy.generator, 0);
    at::Tensor x = r.states[steps];
    for (int64_t t = steps; t >= 2; --t) {
      const GaussianStep step = policy_step(toy.generator.schedule, x, r.y, toy.generator.predict(x, r.y, t), t, {});
      x = step.mean + (r.states[t - 1] - r.steps[t].mean);
    }
    toy.generator.params.require_grad(false);
    const at::Tensor picture = toy.generator.predict(x, r.y, 1);
    toy.generator.params.require_grad(true);
    CHECK((picture - r.picture()).abs().max().item<double>() < 1e-5);
    const at::Tensor truth = flat_gradient(picture.mean(), toy);

    const at::Tensor reward = cell_mean(r.picture(), 0);
    const Advantage advantage = fuse_advantages({{1.0, reward}}, count, 100);
    at::Tensor loss = at::zeros({});
    for (int64_t t = steps; t >= 2; --t)
      loss = loss + grpo_loss(log_ratio(step_again(toy.generator, r, t, {}), r.steps[t], r.states[t - 1], 0), advantage, 0.2).loss;
    const at::Tensor found = flat_gradient(loss, toy) * (-static_cast<double>(numbers) * reward.std().item<double>());
    const double along = (found.dot(truth) / truth.dot(truth)).item<double>(),
                 cosine = at::cosine_similarity(found, truth, 0).item<double>();
    MESSAGE(std::string(policy) << ": " << along << " of the true gradient, cosine " << cosine);
    CHECK(along == doctest::Approx(1).epsilon(0.1));
  }
}

TEST_CASE("GRPO learns by cell: on ResShift with the guard, on a flow without") {
  constexpr int64_t cell = 4;
  const auto update = [](bool guard) {
    return [=](Toy& toy, const Rollout& rollout, const Advantage& advantage, uint64_t) {
      at::Tensor total = at::zeros({});
      const std::vector<int64_t> steps = {2, 3, 4};
      for (int64_t t : steps) {
        const GaussianStep now = step_again(toy.generator, rollout, t, {});
        const at::Tensor& x = rollout.states[t - 1];
        const at::Tensor l = guard ? guarded_log_ratio(now, rollout.steps[t], x, cell) : log_ratio(now, rollout.steps[t], x, cell);
        total = total + (guard ? guard_weight(toy.generator.schedule, t, steps, {}) : 1.0) * grpo_loss(l, advantage, 0.2).loss / 3;
      }
      return total;
    };
  };
  // Its gradient is the noisiest of all: slow enough that a run does not hang on last bits, and the mean of some runs.
  const auto mean_gain = [](const std::string& policy, const Update& loss) {
    double sum = 0;
    for (uint64_t seed = 7; seed < 11; ++seed) sum += learn(policy, cell, 1e-3, 120, loss, 1, false, seed);
    return sum / 4;
  };
  CHECK(mean_gain("resshift", update(true)) > 0.04);
  CHECK(mean_gain("flow", update(false)) > 0.04);
}

TEST_CASE("AWM learns: on ResShift by picture, on a flow by cell") {
  const auto update = [](int64_t cell) {
    return [=](Toy& toy, const Rollout& rollout, const Advantage& advantage, uint64_t i) {
      const int64_t t = 1 + static_cast<int64_t>(i % 4);
      const at::Tensor x0 = rollout.picture();
      return awm_loss(x0, toy.generator.predict(noised(toy, x0, t, i, true), toy.many, t), advantage, cell);
    };
  };
  CHECK(learn("resshift", 0, 1e-3, 40, update(0)) > 0.05);
  CHECK(learn("flow", 4, 1e-3, 40, update(4)) > 0.05);
}

TEST_CASE("NFT learns: on ResShift by picture, on a flow by cell") {
  const auto update = [](int64_t cell) {
    return [=](Toy& toy, const Rollout& rollout, const Advantage& advantage, uint64_t i) {
      const int64_t t = 1 + static_cast<int64_t>(i % 4);
      const at::Tensor x0 = rollout.picture(), x_t = noised(toy, x0, t, i, false);
      return nft_loss(x0, toy.generator.predict(x_t, toy.many, t), no_grad_prediction(toy.old, x_t, toy.many, t), advantage, 1, 2.5, cell);
    };
  };
  CHECK(learn("resshift", 0, 1e-3, 30, update(0), 2, true) > 0.05);
  CHECK(learn("flow", 4, 1e-3, 20, update(4), 2, true) > 0.05);
}

TEST_CASE("DPO learns, by picture and by cell") {
  const auto update = [](int64_t cell) {
    return [=](Toy& toy, const Rollout& rollout, const Advantage& advantage, uint64_t i) {
      const int64_t t = 1 + static_cast<int64_t>(i % 4);
      const at::Tensor x0 = rollout.picture(), x_t = noised(toy, x0, t, i, true);
      const at::Tensor error = cell_mean((toy.generator.predict(x_t, toy.many, t) - x0).square(), cell);
      const at::Tensor error_reference = cell_mean((no_grad_prediction(toy.reference, x_t, toy.many, t) - x0).square(), cell);
      const Pairs pairs = best_and_worst(advantage, group, 2);
      return dpo_loss(of_pairs(error, pairs.winner, group), of_pairs(error_reference, pairs.winner, group),
                      of_pairs(error, pairs.loser, group), of_pairs(error_reference, pairs.loser, group), pairs.live, 500)
          .loss;
    };
  };
  CHECK(learn("resshift", 0, 1e-3, 40, update(0)) > 0.05);
  CHECK(learn("resshift", 4, 1e-3, 30, update(4)) > 0.05);
}

TEST_CASE("DRaFT learns through 2 and 4 steps") {
  for (int64_t k : {2, 4}) {
    Toy toy("resshift");
    AdamW adam(toy.generator.params.all(), {});
    const double before = toy.brightness();
    for (uint64_t i = 0; i < 20; ++i) {
      Random random(1, "learn", i);
      const Prediction p = draft_prediction(toy.generator, toy.y, toy.generator.draw_noise(random, toy.y.sizes(), at::kCPU), k);
      refl_loss(p.x0.mean({1, 2, 3}), at::full({groups}, 0.8)).backward();
      adam.step(5e-4);
    }
    CHECK(toy.brightness() - before > 0.1);
  }
}

TEST_CASE("a weighted gradient: twice as much where the map is 1 as where it is 0, and as much in the mean as without") {
  const at::Tensor map = at::cat({at::ones({1, 1, 8, 4}), at::zeros({1, 1, 8, 4})}, 3);
  const auto gradient = [&](bool weighted) {
    const at::Tensor picture = at::full({1, 3, 8, 8}, 0.4f).requires_grad_();
    const at::Tensor seen = weighted ? weigh_gradient(picture, defect_weight(map, 4, 1)) : picture;
    CHECK(at::equal(seen, picture));
    refl_loss(seen.mean({1, 2, 3}), at::full({1}, 0.8)).backward();
    return picture.grad();
  };
  const at::Tensor plain = gradient(false), weighted = gradient(true);
  CHECK((weighted.narrow(3, 0, 4) / weighted.narrow(3, 4, 4) - 2).abs().max().item<double>() < 1e-6);
  CHECK(weighted.mean().item<double>() == doctest::Approx(plain.mean().item<double>()));
  CHECK(plain.abs().min().item<double>() > 0);
}
