// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/objective.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "finpercep/image/tensor.h"
#include "finpercep/reward/losses.h"

using namespace finpercep;

namespace {

// Three samples of 32 x 32: half of the picture swapped, a seam control without a defect, a whole swap.
FgrBatch three_samples() {
  Random random(1, "objective");
  const at::Tensor gt = normal_tensor(random, {3, 3, 32, 32}).sigmoid(), sr = normal_tensor(random, {3, 3, 32, 32}).sigmoid();
  at::Tensor mask = at::zeros({3, 1, 32, 32}), label = at::zeros({3, 1, 32, 32});
  mask[0].narrow(1, 0, 16).fill_(1);
  mask[1].narrow(1, 8, 8).fill_(1);
  mask[2].fill_(1);
  label[0].narrow(1, 0, 16).fill_(0.4);
  label[2].fill_(0.3);
  return {gt, sr, mask * sr + (1 - mask) * gt, mask, label};
}

double value(const at::Tensor& x) { return x.item<double>(); }

}  // namespace

TEST_CASE("S is regressed on the label's mean, of I_SR inside the mask where it is trained on labels, whole swaps once") {
  const RewardModel model({.stage = 1}, 3);
  const FgrBatch batch = three_samples();
  const at::Tensor base = at::full({3}, 0.9);
  const at::Tensor s = model.judge(at::cat({batch.syn, batch.sr}), 1).score;
  const auto off = [&](int64_t i, double opinion) { return std::abs(value(s[i]) - opinion); };
  const double half = 0.95 - 0.9 * 0.2 / 0.6, clean = 0.95, whole = 0.95 - 0.9 * 0.3 / 0.6, inside = 0.95 - 0.9 * 0.4 / 0.6;
  const double three = off(0, half) + off(1, clean) + off(2, whole);
  CHECK(reward_loss(model, batch, base, 1, {}).opinion == doctest::Approx(three / 3).epsilon(1e-4));
  CHECK(reward_loss(model, batch, base, 1, {.sr_labels = true}).opinion == doctest::Approx((three + off(3, inside)) / 4).epsilon(1e-4));
}

TEST_CASE("the newest stage counts as much as all before it together; the order is of what has one") {
  const RewardModel model({.stage = 2}, 3);
  const FgrBatch batch = three_samples();
  const at::Tensor base = at::full({3}, 0.9);
  const auto judged = model.judge_all(at::cat({batch.gt, batch.syn, batch.sr}), 2);
  const auto align = [&](int64_t k) { return value((judged[k].score.narrow(0, 0, 3) - base).abs().mean()); };
  RewardLossSettings align_alone{.map_weight = 0, .cross_entropy_weight = 0, .rank_weight = 0, .align_weight = 1, .opinion_weight = 0};
  CHECK(value(reward_loss(model, batch, base, 2, align_alone).total) ==
        doctest::Approx(align(2) + 0.5 * (align(0) + align(1))).epsilon(1e-5));

  // The half swap has both orders, the whole one only that of the photograph above it, the control none.
  const auto s = [&](int64_t i) { return value(judged[2].score[i]); };
  const double ordered = (s(0) > s(3) && s(3) > s(6)) + (s(2) > s(5));
  CHECK(reward_loss(model, batch, base, 2, {}).order == doctest::Approx(ordered / 2));
  const auto control = [](const at::Tensor& x) { return x.narrow(0, 1, 1); };
  const FgrBatch alone{control(batch.gt), control(batch.sr), control(batch.syn), control(batch.mask), control(batch.label)};
  CHECK(std::isnan(reward_loss(model, alone, base.narrow(0, 0, 1), 2, {}).order));
}

TEST_CASE("each loss reaches the total with its weight, of every stage that has it") {
  const RewardModel model({.stage = 2}, 3);
  const FgrBatch batch = three_samples();
  const at::Tensor base = at::full({3}, 0.9);
  const auto judged = model.judge_all(at::cat({batch.gt, batch.syn, batch.sr}), 2);
  const at::Tensor all = at::ones_like(batch.mask), counts = at::cat({all, all, at::zeros_like(all)}),
                   labels = at::cat({at::zeros_like(batch.label), batch.label, batch.label});
  const auto score = [&](int64_t k, int64_t part) { return judged[k].score.narrow(0, 3 * part, 3); };
  struct Row {
    double RewardLossSettings::*weight;
    std::function<at::Tensor(int64_t k)> of;
    bool of_map;
  };
  const at::Tensor some = at::tensor({1.0f, 0.0f, 1.0f}), half = at::tensor({1.0f, 0.0f, 0.0f});  // where there is a defect; and not whole
  for (const Row& row :
       {Row{&RewardLossSettings::map_weight, [&](int64_t k) { return map_loss(judged[k].map, labels, counts, 0.5); }, true},
        Row{&RewardLossSettings::cross_entropy_weight, [&](int64_t k) { return map_cross_entropy(judged[k].logits, labels, counts); },
            true},
        Row{&RewardLossSettings::correlation_weight, [&](int64_t k) { return map_correlation_loss(judged[k].map, labels, counts); }, true},
        Row{&RewardLossSettings::rank_weight,
            [&](int64_t k) { return rank_loss(score(k, 2), score(k, 1), score(k, 0), half, some, 0.1, 0.1); }, false},
        Row{&RewardLossSettings::align_weight, [&](int64_t k) { return align_loss(score(k, 0), base); }, false},
        Row{&RewardLossSettings::opinion_weight, [&](int64_t k) { return (score(k, 1) - pseudo_opinion(batch.label)).abs().mean(); },
            false}}) {
    RewardLossSettings alone{.map_weight = 0, .cross_entropy_weight = 0, .rank_weight = 0, .align_weight = 0, .opinion_weight = 0};
    alone.*row.weight = 2;
    const double coarse = (row.of_map ? 0 : value(row.of(0))) + value(row.of(1));
    CHECK(value(reward_loss(model, batch, base, 2, alone).total) == doctest::Approx(2 * (value(row.of(2)) + 0.5 * coarse)).epsilon(1e-5));
  }
  // The correlation is told where it is not trained on, too.
  CHECK(reward_loss(model, batch, base, 2, {}).correlation == doctest::Approx(value(map_correlation_loss(judged[2].map, labels, counts))));
}

TEST_CASE("I_SR's map is trained inside the mask where it is trained on labels") {
  const RewardModel model({.stage = 1}, 3);
  const FgrBatch batch = three_samples();
  const at::Tensor base = at::full({3}, 0.9), pictures = at::cat({batch.gt, batch.syn, batch.sr});
  const at::Tensor labels = at::cat({at::zeros_like(batch.label), batch.label, batch.label}), map = model.judge(pictures, 1).map;
  const at::Tensor all = at::ones_like(batch.mask), none = at::zeros_like(batch.mask);
  const auto map_of = [&](bool sr_labels) { return reward_loss(model, batch, base, 1, {.sr_labels = sr_labels}).map; };
  CHECK(map_of(false) == doctest::Approx(value(map_loss(map, labels, at::cat({all, all, none}), 0.5))).epsilon(1e-5));
  CHECK(map_of(true) == doctest::Approx(value(map_loss(map, labels, at::cat({all, all, batch.mask}), 0.5))).epsilon(1e-5));
  CHECK(map_of(true) != map_of(false));
}

TEST_CASE("RM_0's loss: off the opinion, ranked where the opinion differs by the margin, and no map") {
  const RewardModel model({.stage = 0}, 3);
  const FgrBatch batch = three_samples();
  const at::Tensor opinion = at::tensor({0.3f, 0.94f, 0.6f});  // the second hardly differs from a clean one's .95
  const auto s = [&](const at::Tensor& x) { return model.judge(x, 0).score; };
  const at::Tensor clean = s(batch.gt), worse = s(batch.sr);
  const double off = value((worse - opinion).abs().mean() + (clean - 0.95).abs().mean());
  double hinge = 0, order = 0;
  for (const int i : {0, 2}) {
    const double gap = value(clean[i] - worse[i]);
    hinge += std::max(0.0, 0.1 - gap) / 2;
    order += (gap > 0) / 2.0;
  }
  const RewardLoss loss = base_loss(model, batch.gt, batch.sr, opinion, {});
  CHECK(loss.opinion == doctest::Approx(off).epsilon(1e-5));
  CHECK(loss.rank == doctest::Approx(hinge).epsilon(1e-4));
  CHECK(value(loss.total) == doctest::Approx(off + hinge).epsilon(1e-4));
  CHECK(loss.order == doctest::Approx(order));
  CHECK(std::isnan(loss.map));
}
