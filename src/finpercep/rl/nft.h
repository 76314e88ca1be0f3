// SPDX-License-Identifier: Apache-2.0
// DiffusionNFT (Zheng et al. 2025): no likelihoods; the net is pulled toward its own rewarded pictures and, by the mirrored prediction,
// away from the others. Written for a net that predicts x0; a flow's v = (x_t - x0) / t is linear in it, so that v+ and v- of the paper
// give the same predictions and the same loss.
#pragma once
#include "finpercep/rl/advantage.h"

namespace finpercep {

struct NftSettings {
  std::vector<int64_t> steps = {};  ///< of the chain that are learned at, one drawn for each update; empty: all
  int64_t updates = 1;  ///< of the generator for one batch of pictures; from the second on the loss draws it back to the old policy, as
                        ///< strongly as an Adam step has moved it
  double nft_beta = 1;
  double adv_clip = 2.5;
  double kl_beta = 1e-4;
  double old_decay = 0.001;
  double old_decay_max = 0.5;
  void visit(SettingsVisitor& v);
};

/// r = clamp(A / (2 c) + 1/2, 0, 1): how much a picture counts as a good one.
at::Tensor optimality(const at::Tensor& advantage, double c);

/// c mean over live cells of r |x+ - x0|^2 / (w+ b) + (1 - r) |x- - x0|^2 / (w- b), with x+ = b f + (1 - b) f_old, x- = (1 + b) f_old - b f
/// and w = mean |x+- - x0| of the picture, without gradient. x0: the picture that was made, N x C x H x W; f, f_old: predictions of it from
/// one noised state. At f = f_old its value does not depend on r; its gradient does, by 2 r - 1.
at::Tensor nft_loss(const at::Tensor& x0, const at::Tensor& f, const at::Tensor& f_old, const Advantage& advantage, double beta, double c,
                    int64_t cell);

/// Share of itself that the old policy keeps after n updates: min(slope n, max).
double old_policy_decay(int64_t n, const NftSettings& settings);

}  // namespace finpercep
