// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/nft.h"

#include <algorithm>

namespace finpercep {

void NftSettings::visit(SettingsVisitor& v) {
  v.field("steps", steps, "steps of the chain that are learned at, one drawn for each update; empty: all", {.min = 1, .max = 1000});
  v.field("updates", updates, "updates of the generator for one batch of pictures", {.min = 1, .max = 100});
  v.field("nft_beta", nft_beta, "how far the positive and negative predictions lie from the old policy's", {.min = 1e-3, .max = 10});
  v.field("adv_clip", adv_clip, "c: advantages of +- c are all good and all bad", {.min = 0.1, .max = 100});
  v.field("kl_beta", kl_beta,
          "weight, within the algorithm's loss, of the squared distance to the frozen reference, in v where the policy is a flow; for "
          "ResShift reward_weight * kl_beta adds to reference_weight, the weight of the same distance",
          {.min = 0, .max = 1000});
  v.field("old_decay", old_decay,
          "the old policy, which makes the pictures, keeps min(old_decay n, old_decay_max) of itself after n updates",
          {.min = 0, .max = 1});
  v.field("old_decay_max", old_decay_max, "see old_decay", {.min = 0, .max = 1});
}

at::Tensor optimality(const at::Tensor& advantage, double c) { return (advantage / (2 * c) + 0.5).clamp(0, 1); }

at::Tensor nft_loss(const at::Tensor& x0, const at::Tensor& f, const at::Tensor& f_old, const Advantage& advantage, double beta, double c,
                    int64_t cell) {
  const at::Tensor r = optimality(advantage.value, c);
  const auto distance = [&](const at::Tensor& guess) {
    const at::Tensor w = (guess - x0).detach().abs().mean({1, 2, 3}, true).clamp_min(1e-5);
    return cell_mean((guess - x0).square(), cell) / (w * beta);
  };
  const at::Tensor loss = r * distance(beta * f + (1 - beta) * f_old) + (1 - r) * distance((1 + beta) * f_old - beta * f);
  return c * (loss * advantage.live).sum() / advantage.live.sum().clamp_min(1);
}

double old_policy_decay(int64_t n, const NftSettings& settings) {
  return std::min(settings.old_decay * static_cast<double>(n), settings.old_decay_max);
}

}  // namespace finpercep
