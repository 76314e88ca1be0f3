// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/coevolve.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("the reward learns along: a defect that it did not know is seen where it is, and clean is the better") {
  at::set_num_threads(1);
  RlSettings settings;
  settings.coevolve_freq = 1;
  settings.reward_losses.sr_labels = true;
  settings.masks.area = {0.3, 0.5};
  Players p;
  const std::string file = FINPERCEP_SOURCE_DIR "/models/finpercep-rm-rl.safetensors";
  p.reward = load_reward(file, at::kCPU, &p.facts);
  p.base = load_reward(file, at::kCPU);
  p.reward_optimiser.emplace(p.reward->params.all(), settings.optim_r);
  const LabelFeatures features(at::kCPU, p.facts.label_features);
  const std::vector<at::Tensor> kept = clone_values(p.base->params.all());
  // Soft stripes, and the same with a lattice over them.
  const int64_t side = 64;
  const at::Tensor x = at::arange(static_cast<double>(side)).to(at::kFloat), across = x.view({1, 1, 1, side}),
                   down = x.view({1, 1, side, 1});
  RlBatch batch;
  batch.gt = as_file((0.5 + 0.2 * at::sin(0.3 * across + 0.1 * down)).expand({4, 3, side, side}));
  const at::Tensor sr = as_file(batch.gt + 0.06 * at::sin(2.1 * across) * at::sin(2.1 * down));
  const auto gap = [&] {
    at::NoGradGuard no_grad;
    const Judgement clean = p.reward->judge(batch.gt, finest_stage), broken = p.reward->judge(sr, finest_stage);
    return std::pair((clean.score_logit - broken.score_logit).mean().item<double>(), (broken.map - clean.map).mean().item<double>());
  };
  const auto before = gap();
  double first = 0, last = 0;
  for (uint64_t i = 0; i < 16; ++i) {
    const StepResult result = improve_reward(p, features, batch, sr, settings, {at::kCPU, at::kFloat}, i, 3e-4);
    CHECK_FALSE(result.skipped);
    for (const auto& [name, value] : result.metrics)
      if (name == "rm_map") (i < 4 ? first : last) = (i == 0 || i == 12 ? 0 : i < 4 ? first : last) + value;
  }
  const auto after = gap();
  MESSAGE("map loss " << first / 4 << " -> " << last / 4 << ", gap of S " << before.first << " -> " << after.first << ", of the map "
                      << before.second << " -> " << after.second);
  CHECK(last < 0.9 * first);
  CHECK(after.first > before.first + 0.5);
  CHECK(after.second > before.second + 0.05);
  CHECK(after.first > 0);
  const std::vector<at::Tensor> base = p.base->params.all();
  for (std::size_t i = 0; i < kept.size(); ++i) CHECK(at::equal(base[i], kept[i]));
}

TEST_CASE("labels with another share of the pixels are as severe on the whole as before") {
  const LabelFeatures features(at::kCPU, "efficientnet");
  std::vector<at::Tensor> gt, sr;
  for (uint64_t i = 0; i < 2; ++i) {
    Random random(1, "coevolve_test", i);
    gt.push_back(normal_tensor(random, {2, 3, 64, 64}).mul(0.2).add(0.5).clamp(0, 1));
    sr.push_back((gt.back() + 0.05 * normal_tensor(random, {2, 3, 64, 64})).clamp(0, 1));
  }
  const RewardFacts facts{.label_alpha = 0.6, .label_scale = 0.4};
  const auto mean_label = [&](const RewardFacts& f) {
    double sum = 0;
    for (std::size_t i = 0; i < gt.size(); ++i)
      sum += raw_difference(features, gt[i], sr[i], at::ones({2, 1, 64, 64}), f.label_alpha).mean().item<double>() / f.label_scale;
    return sum;
  };
  for (const double alpha : {0.0, 0.3, 1.0}) {
    const RewardFacts other = relabelled(facts, alpha, features, gt, sr);
    CHECK(other.label_alpha == alpha);
    CHECK(mean_label(other) == doctest::Approx(mean_label(facts)).epsilon(1e-5));
  }
  CHECK(relabelled(facts, 0.6, features, gt, sr).label_scale == doctest::Approx(0.4));
}
