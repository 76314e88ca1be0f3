// SPDX-License-Identifier: Apache-2.0
// The code that trains: every algorithm, through improve_generator as a run calls it, by the shipped reward on a tiny generator.
#include "finpercep/curriculum/update.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include "finpercep/rl/refl.h"

using namespace finpercep;

namespace {

constexpr int64_t side = 64, stage = 4;

GeneratorSettings tiny(const std::string& policy) {
  GeneratorSettings s;
  s.policy = policy;
  s.net = {.channels = {8, 8}, .blocks = 1, .unshuffle = 2};
  return s;
}

RlSettings settings_of(const std::string& algorithm) {
  RlSettings s;
  s.algorithm = algorithm;
  s.group_size = 8;
  s.reward_weight = 1;
  s.reference_weight = 0;
  s.lr_weight = 0;
  s.draft.steps = 2;
  s.grpo.clip = 0.2;
  s.grpo.kl_beta = s.nft.kl_beta = 0;
  s.dpo.dpo_beta = 500;
  s.dpo.pairs = 2;
  return s;
}

// Pictures of soft stripes, and a generator that spoils them: its weights are far from any training.
struct Game {
  explicit Game(const RlSettings& s, const std::string& policy = "resshift") : settings(s) {
    at::set_num_threads(1);
    p.generator = std::make_unique<Generator>(tiny(policy));
    p.reference = std::make_unique<Generator>(tiny(policy));
    p.old = std::make_unique<Generator>(tiny(policy));
    Random random(3, "game");
    for (const at::Tensor& t : p.generator->params.all()) t.add_(0.05 * normal_tensor(random, t.sizes()));
    for (const Generator* other : {p.reference.get(), p.old.get()}) copy_values(p.generator->params.all(), other->params.all());
    if (settings.algorithm != "nft") p.old.reset();
    p.generator->params.require_grad(true);
    for (const auto& [name, value] : p.generator->params.named()) p.trained.adopt(name, value);
    p.ema = clone_values(p.trained.all());
    p.generator_optimiser.emplace(p.trained.all(), settings.optim_g);
    p.reward = load_reward(FINPERCEP_SOURCE_DIR "/models/finpercep-rm.safetensors", at::kCPU, &p.facts);
    const at::Tensor x = at::arange(static_cast<double>(side)).to(at::kFloat);
    gt = 0.5 + 0.3 * at::sin(0.3 * x.view({1, 1, 1, side}) + 0.1 * x.view({1, 1, side, 1})).expand({2, 3, side, side});
    y = p.generator->condition(at::avg_pool2d(gt, 4));
  }
  RlBatch batch(uint64_t index) const {
    Random random(7, "batch", index);
    RlBatch b{gt, y, p.generator->draw_noise(random, gt.sizes(), at::kCPU), 1, at::ones({2}, at::kLong), {}, stage, index};
    b.pretrain_noise = normal_tensor(random, gt.sizes());
    return b;
  }
  UpdateReport step(const std::vector<RlBatch>& batches, double lr) {
    return improve_generator(p, batches, settings, {at::kCPU, at::kFloat}, lr);
  }
  // What the reward says of pictures from draws that no update has seen.
  double reward() const {
    at::NoGradGuard no_grad;
    double sum = 0;
    for (uint64_t i = 0; i < 8; ++i) {
      Random random(2, "test", i);
      sum += p.reward->judge(p.generator->roll_out(y, p.generator->draw_noise(random, y.sizes(), at::kCPU)).clamp(0, 1), stage)
                 .score_logit.mean()
                 .item<double>();
    }
    return sum / 8;
  }
  Players p;
  RlSettings settings;
  at::Tensor gt, y;
};

}  // namespace

TEST_CASE("every algorithm makes pictures that the reward likes better") {
  struct Row {
    std::string algorithm, policy;
    int iterations;
    double gain;  // of logit S; without noise in the gradient it is 1.2
  };
  for (const Row& row :
       {Row{"refl", "resshift", 15, 0.5}, Row{"refl", "flow", 15, 0.5}, Row{"draft", "resshift", 15, 0.5}, Row{"grpo", "resshift", 40, 0.1},
        Row{"awm", "resshift", 40, 0.1}, Row{"nft", "resshift", 40, 0.1}, Row{"nft", "flow", 40, 0.1}, Row{"dpo", "resshift", 20, 0.1}}) {
    CAPTURE(row.algorithm);
    CAPTURE(row.policy);
    RlSettings settings = settings_of(row.algorithm);
    settings.policy.flow_sampler = "ode";  // of NFT on the flow
    Game game(settings, row.policy);
    const double before = game.reward();
    for (int i = 0; i < row.iterations; ++i) game.step({game.batch(static_cast<uint64_t>(i))}, 1e-3);
    const double gain = game.reward() - before;
    MESSAGE(row.algorithm << " on " << row.policy << ": logit S " << before << " rises by " << gain);
    CHECK(gain > row.gain);
  }
}

TEST_CASE("accumulated batches and the terms of one batch are averaged: the gradient does not grow with their number") {
  const auto norm = [](const RlSettings& s, std::size_t batches) {
    Game game(s);
    for (const auto& [name, value] : game.step(std::vector<RlBatch>(batches, game.batch(1)), 0).metrics)
      if (name == "grad_norm") return value;
    return 0.0;
  };
  RlSettings supervised = settings_of("refl");
  supervised.reward_weight = 0;  // the reward's normalisation follows what it has seen, batch by batch
  supervised.pixel_weight = 1;
  CHECK(norm(supervised, 1) > 0);
  CHECK(norm(supervised, 3) == doctest::Approx(norm(supervised, 1)).epsilon(1e-4));
  RlSettings one = settings_of("grpo"), two = one;
  one.grpo.updates = two.grpo.updates = 1;
  one.grpo.steps = {2};
  two.grpo.steps = {2, 2};
  CHECK(norm(one, 1) > 0);
  CHECK(norm(two, 1) == doctest::Approx(norm(one, 1)).epsilon(1e-4));
}

TEST_CASE("anchors and the generator's own losses pull back what the reward pushes") {
  const auto distance = [](double reference_weight, double pixel_weight) {
    RlSettings s = settings_of("refl");
    s.reference_weight = reference_weight;
    s.pixel_weight = pixel_weight;
    Game game(s);
    for (int i = 0; i < 10; ++i) game.step({game.batch(static_cast<uint64_t>(i))}, 1e-3);
    at::NoGradGuard no_grad;
    Random random(2, "test");
    const auto noise = game.p.generator->draw_noise(random, game.y.sizes(), at::kCPU);
    const at::Tensor now = game.p.generator->roll_out(game.y, noise);
    return std::pair{(now - game.p.reference->roll_out(game.y, noise)).square().mean().item<double>(),
                     (now - game.gt).abs().mean().item<double>()};
  };
  const auto free = distance(0, 0), anchored = distance(1000, 0), taught = distance(0, 100);
  CHECK(anchored.first < 0.5 * free.first);
  CHECK(taught.second < free.second);
}

TEST_CASE("the supervised loss is of the chain's own pictures where pixel_states says so") {
  RlSettings s = settings_of("refl");
  s.reward_weight = 0;
  s.pixel_weight = 1;
  const auto norm = [](const RlSettings& settings) {
    Game game(settings);
    for (const auto& [name, value] : game.step({game.batch(4)}, 0).metrics)
      if (name == "grad_norm") return value;
    return 0.0;
  };
  const double diffused = norm(s);
  s.pixel_states = "chain";
  const Game game(s);
  const RlBatch batch = game.batch(4);
  Random unused(0, "pretrain");
  generator_loss(refl_prediction(*game.p.generator, batch.y, batch.noise, batch.t).x0, batch.gt, s.losses, std::nullopt, unused)
      .total.backward();
  CHECK(norm(s) == doctest::Approx(gradient_norm(game.p.generator->params.all())).epsilon(1e-5));
  CHECK(norm(s) != doctest::Approx(diffused).epsilon(1e-2));
}

TEST_CASE("NFT's pictures are the old policy's, which follows; the reward stays as it is") {
  Game game(settings_of("nft"));
  Random random(5, "moved");
  for (const at::Tensor& t : game.p.old->params.all()) t.add_(0.02 * normal_tensor(random, t.sizes()));
  const std::vector<at::Tensor> reward = clone_values(game.p.reward->params.all()), old = clone_values(game.p.old->params.all());
  const auto pictures = [&](const Generator& by) {
    at::NoGradGuard no_grad;
    const at::Tensor many = game.y.repeat_interleave(game.settings.group_size, 0);
    Random draws(static_cast<uint64_t>(game.settings.manual_seed), "explore", 1);
    const Rollout r = roll_out_policy(by, many, draw_policy_noise(by, draws, many.sizes(), at::kCPU), game.settings.policy);
    return r.picture().view({2, game.settings.group_size, 3, side, side}).select(1, 0).clamp(0, 1).mul(255).round() / 255;
  };
  const at::Tensor by_old = pictures(*game.p.old), by_generator = pictures(*game.p.generator);
  CHECK(!at::allclose(by_old, by_generator));
  const UpdateReport report = game.step({game.batch(1)}, 1e-3);
  CHECK(at::allclose(report.sr, by_old));
  for (std::size_t i = 0; i < reward.size(); ++i) CHECK(at::equal(reward[i], game.p.reward->params.all()[i]));
  const auto distance = [](const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]).detach().square().sum().item<double>();
    return sum;
  };
  // It keeps old_decay n of itself after n updates, hardly anything of it as yet.
  const double kept = old_policy_decay(game.p.updates, game.settings.nft);
  CHECK(distance(game.p.generator->params.all(), game.p.old->params.all()) ==
        doctest::Approx(kept * kept * distance(game.p.generator->params.all(), old)).epsilon(0.01));
}
