// SPDX-License-Identifier: Apache-2.0
// How much better one of several pictures of the same LR input is than its siblings: what GRPO, AWM, NFT and DPO learn from.
// Pictures of a group are consecutive in a batch. Fusion of several rewards follows GDPO (Liu et al. 2026): each reward is normalised
// within its group before they are added, so that none is drowned by the scale of another, then the sum over the batch.
#pragma once
#include "finpercep/rl/credit.h"

namespace finpercep {

/// (R - mean) / (std + 1e-4) over the group, at each cell; exactly 0 where std < 1e-6. reward: N x 1 x h x w, N a multiple of `group`.
at::Tensor group_zscore(const at::Tensor& reward, int64_t group);

struct Advantage {
  at::Tensor value;       ///< N x 1 x h x w, mean 0 in each group and deviation 1 over the live part of the batch, then cut to +- clip
  at::Tensor live;        ///< the same shape, 1 where the group's pictures differ in any reward, else 0: there is nothing to learn there
  double group_std = 0;   ///< of the weighted sum of rewards within a group, mean over groups and cells
  double zero_share = 0;  ///< of groups (by cell) without difference
};
/// A reward without weight does not make a group live.
Advantage fuse_advantages(const RewardParts& rewards, int64_t group, double clip);

}  // namespace finpercep
