// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/advantage.h"

#include <cmath>

namespace finpercep {

namespace {

constexpr double smallest_std = 1e-6, softener = 1e-4;

at::Tensor by_group(const at::Tensor& x, int64_t group) {
  TORCH_CHECK(group >= 2 && x.dim() == 4 && x.size(0) % group == 0, "advantage: expected N x 1 x h x w with N a multiple of ", group,
              " >= 2, found ", x.sizes());
  return x.detach().to(at::kFloat).view({x.size(0) / group, group, x.size(1), x.size(2), x.size(3)});
}

// Deviation within the group, repeated for each of its pictures: as x. In double, where a constant group has a deviation of 0 and not of
// rounding.
at::Tensor group_std(const at::Tensor& x, int64_t group) {
  const at::Tensor groups = by_group(x, group).to(at::kDouble);
  return groups.std(1, false, true).to(at::kFloat).expand_as(groups).reshape(x.sizes());
}

}  // namespace

at::Tensor group_zscore(const at::Tensor& reward, int64_t group) {
  const at::Tensor groups = by_group(reward, group), std = group_std(reward, group);
  const at::Tensor centred = (groups - groups.mean(1, true)).view(reward.sizes());
  return at::where(std < smallest_std, at::zeros_like(centred), centred / (std + softener));
}

Advantage fuse_advantages(const RewardParts& rewards, int64_t group, double clip) {
  TORCH_CHECK(!rewards.empty(), "fuse_advantages: expected rewards, found none");
  at::Tensor total = at::zeros({1}, rewards.front().second.options().dtype(at::kFloat)), sum = total, live = total > 0;
  for (const auto& [weight, reward] : rewards) {
    if (weight == 0) continue;
    total = total + weight * reward.detach();
    sum = sum + weight * group_zscore(reward, group);
    live = live.logical_or(group_std(reward, group) >= smallest_std);
  }
  TORCH_CHECK(sum.dim() == 4, "fuse_advantages: every reward has weight 0");
  Advantage out;
  out.live = live.to(at::kFloat).expand_as(sum).contiguous();
  out.zero_share = 1 - out.live.mean().item<double>();
  out.group_std = group_std(total, group).mean().item<double>();
  const double energy = (sum.square() * out.live).sum().item<double>() / std::max(1.0, out.live.sum().item<double>());
  out.value = (sum * out.live / (std::sqrt(energy) + softener)).clamp(-clip, clip);
  return out;
}

}  // namespace finpercep
