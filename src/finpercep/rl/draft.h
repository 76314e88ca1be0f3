// SPDX-License-Identifier: Apache-2.0
// DRaFT-K (Clark et al., ICLR 2024; AlignProp, Prabhudesai et al. 2023): the reward's gradient flows through the last K steps of the chain.
#pragma once
#include "finpercep/rl/refl.h"

namespace finpercep {

/// The chain without gradient to x_K, then with it to the picture. `x_t` is the last state, x_1, detached: what anchors compare at. K
/// in 1..T.
Prediction draft_prediction(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t k);

}  // namespace finpercep
