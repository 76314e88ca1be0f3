// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/grpo.h"

namespace finpercep {

void GrpoSettings::visit(SettingsVisitor& v) {
  v.field("steps", steps, "steps of the chain that are learned from, 2 to T; empty: all of these", {.min = 2, .max = 1000});
  v.field("window", window, "so many of them, drawn for each iteration; 0: all", {.min = 0, .max = 1000});
  v.field("updates", updates, "updates of the generator for one batch of pictures", {.min = 1, .max = 100});
  v.field("clip", clip, "the ratio of probabilities counts within 1 +- clip", {.min = 1e-7, .max = 1});
  v.field("guard", guard, "GRPO-Guard: ratios centred at 1 and steps weighted so that each moves the net alike");
  v.field("kl_beta", kl_beta, "weight, within the algorithm's loss, of the KL to the frozen reference, by step", {.min = 0, .max = 1000});
  v.field("adv_clip", adv_clip, "advantages count within +- adv_clip", {.min = 0.1, .max = 100});
}

at::Tensor log_ratio(const GaussianStep& now, const GaussianStep& old, const at::Tensor& x, int64_t cell) {
  return cell_mean(log_density(now, x) - log_density(old, x), cell);
}

at::Tensor guarded_log_ratio(const GaussianStep& now, const GaussianStep& old, const at::Tensor& x, int64_t cell) {
  TORCH_CHECK(now.std > 0 && now.std == old.std, "guarded_log_ratio: expected one deviation > 0, found ", now.std, " and ", old.std);
  return cell_mean((x - old.mean) / old.std * (now.mean.to(at::kFloat) - old.mean.to(at::kFloat)), cell);
}

double guard_weight(const ResShiftSchedule& schedule, int64_t t, const std::vector<int64_t>& steps, const PolicySettings& policy) {
  const at::Tensor zero = at::zeros({1}, at::kDouble), one = at::ones({1}, at::kDouble);
  const auto inverse_share = [&](int64_t s) {  // the mean is affine in x0
    const auto mean = [&](const at::Tensor& x0) { return policy_step(schedule, zero, zero, x0, s, policy).mean.item<double>(); };
    return 1 / (mean(one) - mean(zero));
  };
  double mean = 0;
  for (int64_t s : steps) mean += inverse_share(s) / static_cast<double>(steps.size());
  return inverse_share(t) / mean;
}

GrpoLoss grpo_loss(const at::Tensor& log_ratio, const Advantage& advantage, double clip) {
  const at::Tensor ratio = log_ratio.exp(), clipped = ratio.clamp(1 - clip, 1 + clip);
  const at::Tensor loss = at::max(-advantage.value * ratio, -advantage.value * clipped);
  const at::Tensor count = advantage.live.sum().clamp_min(1);
  const at::Tensor outside = (ratio.detach() != clipped.detach()).to(at::kFloat);
  return {(loss * advantage.live).sum() / count, ratio.detach().mean().item<double>(),
          ((outside * advantage.live).sum() / count).item<double>()};
}

}  // namespace finpercep
