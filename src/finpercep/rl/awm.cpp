// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/awm.h"

namespace finpercep {

void AwmSettings::visit(SettingsVisitor& v) {
  v.field("steps", steps, "steps of the chain that are learned at, one drawn for each update; empty: all", {.min = 1, .max = 1000});
  v.field("adv_clip", adv_clip, "advantages count within +- adv_clip", {.min = 0.1, .max = 100});
}

at::Tensor awm_loss(const at::Tensor& x0, const at::Tensor& f, const Advantage& advantage, int64_t cell) {
  const at::Tensor error = cell_mean((f - x0).square(), cell);
  return (advantage.value * error * advantage.live).sum() / advantage.live.sum().clamp_min(1);
}

}  // namespace finpercep
