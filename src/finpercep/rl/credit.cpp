// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/credit.h"

namespace finpercep {

void CreditSettings::visit(SettingsVisitor& v) {
  v.field("spatial", spatial,
          "pay by region: advantages by cell (grpo, awm, nft, dpo), the reward's gradient weighted by the map (refl, draft)");
  v.field("cell", cell, "side of a region, pixels; divides datasets.gt_size", {.min = 1, .max = 2048});
  v.field("focus", focus, "refl, draft: the gradient at a defect weighs 1 + focus where it is 1 at a clean place", {.min = 0, .max = 1000});
}

at::Tensor cell_mean(const at::Tensor& x, int64_t cell) {
  if (cell == 0) return x.mean({1, 2, 3}, true);
  TORCH_CHECK(x.size(2) % cell == 0 && x.size(3) % cell == 0, "cell_mean: expected sides that are multiples of ", cell, ", found ",
              x.sizes());
  return at::avg_pool2d(x, cell).mean(1, true);
}

RewardParts reward_parts(const Judgement& judgement, const RunningScore& running, const RewardSignalSettings& settings, int64_t cell) {
  return {{settings.score_weight, running.normalised(judgement.score_logit).view({-1, 1, 1, 1})},
          {settings.map_weight, 1 - pool_cells(judgement.map, settings, cell)}};
}

at::Tensor defect_weight(const at::Tensor& map, int64_t cell, double focus) {
  const at::Tensor weight = 1 + focus * at::avg_pool2d(map.detach().to(at::kFloat), cell);
  return at::upsample_nearest2d(weight / weight.mean({2, 3}, true), map.sizes().slice(2));
}

at::Tensor weigh_gradient(const at::Tensor& x, const at::Tensor& weight) { return x.detach() + (x - x.detach()) * weight; }

}  // namespace finpercep
