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

/// What the reward says of one batch.
struct Rewarded {
  double gap = 0;   ///< mean reward of the pictures minus that of the clean photographs
  Metrics metrics;  ///< the same five of every algorithm
};

/// What is learned from one batch: every update of the generator is by the mean of `terms` losses that are computed, and forgotten, one
/// after the other.
struct Episode {
  int64_t terms = 1;
  std::function<Term(int64_t update, int64_t term)> term;
  at::Tensor sr;  ///< a picture of each input, detached, in [0,1]: what the reward learns from
  Rewarded reward = {};
  double spread = 0;  ///< of the rewards of one input's pictures, where there are several
  Metrics own = {};   ///< the algorithm's
};

struct Algorithm {
  const char* name;
  Episode (*begin)(Players& players, const RlBatch& batch, const RlSettings& settings);
  int64_t (*updates)(const RlSettings& settings);  ///< of the generator by one batch
};

/// The choice of RlSettings.algorithm: refl, draft, grpo, awm, nft, dpo.
const std::vector<std::string>& algorithm_names();
const Algorithm& find_algorithm(const std::string& name);

}  // namespace finpercep
