// SPDX-License-Identifier: Apache-2.0
// Diffusion-DPO (Wallace et al., CVPR 2024), online: of each group's pictures the best and the worst make a pair (as in DP2O-SR, Wu et al.
// 2025, the i-th best with the i-th worst), and the net's own denoising error tells which of them it prefers.
#pragma once
#include "finpercep/rl/advantage.h"

namespace finpercep {

struct DpoSettings {
  std::vector<int64_t> steps = {};  ///< of the chain that are learned at, one drawn for each update; empty: all
  int64_t pairs = 1;                ///< of a group
  int64_t updates = 1;              ///< of the generator for one batch of pictures
  double dpo_beta = 2000;
  void visit(SettingsVisitor& v);
};

/// Which picture of the group wins and which loses, at each cell: groups x pairs x h x w indices within the group. `live` is 1 where the
/// two differ.
struct Pairs {
  at::Tensor winner, loser, live;
};
Pairs best_and_worst(const Advantage& advantage, int64_t group, int64_t pairs);
/// values (N x 1 x h x w) of the pictures of `index`: groups x pairs x h x w.
at::Tensor of_pairs(const at::Tensor& values, const at::Tensor& index, int64_t group);

struct DpoLoss {
  at::Tensor loss;      ///< mean over live pairs of -log sigmoid(z), z = -beta/2 ((L_w - L_w_ref) - (L_l - L_l_ref)): log 2 at the start
  double accuracy = 0;  ///< share of live pairs with z > 0
  double winner = 0, loser = 0;  ///< mean L - L_ref; both rising while the loss falls is a blow-up
};
/// Denoising errors (means of squares, at one step and noise for both) of winner and loser under the net and the reference. All in one
/// shape.
DpoLoss dpo_loss(const at::Tensor& winner, const at::Tensor& winner_reference, const at::Tensor& loser, const at::Tensor& loser_reference,
                 const at::Tensor& live, double beta);

}  // namespace finpercep
