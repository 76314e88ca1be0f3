// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/dpo.h"

namespace finpercep {

void DpoSettings::visit(SettingsVisitor& v) {
  v.field("steps", steps, "steps of the chain that are learned at, one drawn for each update; empty: all", {.min = 1, .max = 1000});
  v.field("pairs", pairs, "pairs of a group: the i-th best with the i-th worst; at most group_size / 2", {.min = 1, .max = 512});
  v.field("updates", updates, "updates of the generator for one batch of pictures", {.min = 1, .max = 100});
  v.field("dpo_beta", dpo_beta, "how sharply preferences are taken; large holds the net near the reference", {.min = 0.001, .max = 1e6});
}

at::Tensor of_pairs(const at::Tensor& values, const at::Tensor& index, int64_t group) {
  const at::Tensor groups = values.reshape({values.size(0) / group, group, values.size(2), values.size(3)});
  return groups.expand({-1, -1, index.size(2), index.size(3)}).gather(1, index);
}

Pairs best_and_worst(const Advantage& advantage, int64_t group, int64_t pairs) {
  TORCH_CHECK(2 * pairs <= group, "best_and_worst: expected at most ", group / 2, " pairs in a group of ", group, ", found ", pairs);
  const at::Tensor value = advantage.value, groups = value.view({value.size(0) / group, group, value.size(2), value.size(3)});
  const at::Tensor order = groups.argsort(/*stable=*/true, 1, /*descending=*/true);
  Pairs out{order.narrow(1, 0, pairs).contiguous(), order.flip(1).narrow(1, 0, pairs).contiguous(), {}};
  out.live = (of_pairs(value, out.winner, group) - of_pairs(value, out.loser, group) > 1e-6).to(at::kFloat);
  return out;
}

DpoLoss dpo_loss(const at::Tensor& winner, const at::Tensor& winner_reference, const at::Tensor& loser, const at::Tensor& loser_reference,
                 const at::Tensor& live, double beta) {
  const at::Tensor gain = winner - winner_reference, loss = loser - loser_reference, z = (gain - loss) * (-beta / 2);
  const at::Tensor count = live.sum().clamp_min(1);
  const auto mean = [&](const at::Tensor& x) { return ((x.detach() * live).sum() / count).item<double>(); };
  return {-(at::log_sigmoid(z) * live).sum() / count, mean((z > 0).to(at::kFloat)), mean(gain), mean(loss)};
}

}  // namespace finpercep
