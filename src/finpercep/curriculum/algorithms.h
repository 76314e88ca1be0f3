// SPDX-License-Identifier: Apache-2.0
// How each algorithm turns a batch into losses. The learning rules themselves are pure functions in rl/; here they meet the generator, the
// reward and the settings. What is common to all (anchors, accumulation, guard, average) is update.cpp's.
#pragma once
#include <functional>

#include "finpercep/curriculum/players.h"

namespace finpercep {

/// Something to minimise, and the prediction that it was computed from, at which the anchors hold the generator.
struct Term {
  at::Tensor loss;
  at::Tensor x_t, y, x0;  ///< state, condition, prediction with gradient
  int64_t t = 1;
  at::Tensor x0_reference = {};  ///< the frozen reference's, where the algorithm needed it itself
  Metrics metrics = {};
};

/// What is learned from one batch: `updates` updates of the generator, each by the mean of `terms` losses that are computed, and forgotten,
/// one after the other.
struct Episode {
  int64_t updates = 1, terms = 1;
  std::function<Term(int64_t update, int64_t term)> term;
  at::Tensor sr;   ///< a picture of each input, detached, in [0,1]: what the reward learns from
  Metrics reward;  ///< the same five of every algorithm
  Metrics own;     ///< the algorithm's
};

/// The choice of RlSettings.algorithm: refl, draft, grpo, nft, dpo.
const std::vector<std::string>& algorithm_names();
using Algorithm = Episode (*)(Players& players, const RlBatch& batch, const RlSettings& settings);
Algorithm find_algorithm(const std::string& name);

}  // namespace finpercep
