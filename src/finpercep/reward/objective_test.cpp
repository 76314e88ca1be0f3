// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/objective.h"

#include <doctest/doctest.h>

#include <cmath>

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
