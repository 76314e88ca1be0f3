// SPDX-License-Identifier: Apache-2.0
// Advantage Weighted Matching (Xue et al., arXiv 2509.25050): the policy gradient with the net's own training loss in place of the chain's
// log-probabilities, whose targets are noisy states; here they are the finished pictures. One update by each batch of pictures, where the
// paper's ratio of probabilities is 1 and its clip does nothing.
#pragma once
#include "finpercep/rl/advantage.h"

namespace finpercep {

struct AwmSettings {
  std::vector<int64_t> steps = {};  ///< of the chain that are learned at, one drawn for each update; empty: all
  double adv_clip = 5;
  void visit(SettingsVisitor& v);
};

/// Mean over live cells of A |f - x0|^2: its gradient pulls f toward the pictures that are better than their group, and away from the
/// others. x0: the picture that was made, N x C x H x W; f: the prediction of it from a noised state.
at::Tensor awm_loss(const at::Tensor& x0, const at::Tensor& f, const Advantage& advantage, int64_t cell);

}  // namespace finpercep
