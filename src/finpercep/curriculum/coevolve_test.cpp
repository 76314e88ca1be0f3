// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/coevolve.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/degrade/distort.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

using namespace finpercep;

namespace {

Players rewarded_players(const RlSettings& settings) {
  Players p;
  const std::string file = FINPERCEP_SOURCE_DIR "/models/finpercep-rm-rl.safetensors";
  p.reward = load_reward(file, at::kCPU, &p.facts);
  p.base = load_reward(file, at::kCPU);
  p.reward_optimiser.emplace(p.reward->params.all(), settings.optim_r);
  return p;
}

}  // namespace

TEST_CASE("the reward learns along: a defect that it did not know is seen where it is, and clean is the better") {
  at::set_num_threads(1);
  RlSettings settings;
  settings.coevolve_freq = 1;
  settings.reward_losses.sr_labels = true;
  settings.masks.area = {0.3, 0.5};
  Players p = rewarded_players(settings);
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

TEST_CASE("planted distortions stand for the generator's pictures, varied photographs for the clean ones, each of its own photograph") {
  at::set_num_threads(1);
  constexpr uint64_t iter = 3, seed = 11;
  constexpr int64_t count = 2, side = 64;
  RlSettings settings;
  settings.manual_seed = seed;
  settings.coevolve_freq = 1;
  settings.reward_losses.sr_labels = true;
  Random draws(1, "pictures");
  const auto pictures = [&] { return as_file(normal_tensor(draws, {count, 3, side, side}).mul(0.2).add(0.5)); };
  RlBatch batch;
  batch.gt = pictures();
  const at::Tensor sr = pictures(), other = pictures();
  const LabelFeatures features(at::kCPU, rewarded_players(settings).facts.label_features);
  const auto learnt = [&](const RlSettings& s, const at::Tensor& gt, const at::Tensor& made) {
    Players p = rewarded_players(s);
    RlBatch of = batch;
    of.gt = gt;
    return fmt::format("{}", improve_reward(p, features, of, made, s, {at::kCPU, at::kFloat}, iter, 0).metrics);
  };
  // Each picture as `make(photo, random)` makes it from its photograph, by the stream of its number.
  const auto each = [&](const char* stream, auto make) {
    std::vector<Image> images;
    for (int64_t n = 0; n < count; ++n) {
      Random random(seed, stream, iter * count + static_cast<uint64_t>(n));
      images.push_back(rounded_to_bytes(make(to_image(batch.gt.narrow(0, n, 1)), random)));
    }
    return to_batch(images);
  };
  CHECK(learnt(settings, batch.gt, sr) != learnt(settings, batch.gt, other));

  RlSettings planted = settings;
  planted.coevolve_distort = 1;
  const at::Tensor distorted = each("planted", [](const Image& photo, Random& random) {
    random.uniform();
    return plant(photo, first_distortions, random).picture;
  });
  CHECK(learnt(planted, batch.gt, sr) == learnt(settings, batch.gt, distorted));
  CHECK(learnt(planted, batch.gt, other) == learnt(settings, batch.gt, distorted));

  RlSettings varied = settings;
  varied.coevolve_variation = {.prob = 1, .kinds = {"soften"}, .soften = {1, 2}};
  const at::Tensor soft = each("varied", [&](const Image& photo, Random& random) {
    return vary(photo, draw_variation(varied.coevolve_variation, random), varied.coevolve_variation, random);
  });
  CHECK(learnt(varied, batch.gt, sr) == learnt(settings, soft, sr));
  CHECK(learnt(varied, batch.gt, sr) != learnt(settings, batch.gt, sr));
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
