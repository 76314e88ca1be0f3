// SPDX-License-Identifier: Apache-2.0
// One iteration of the generator: the algorithm's losses with the anchors that all algorithms share, accumulated, and as many updates as it
// asks for.
#pragma once
#include "finpercep/curriculum/algorithms.h"
#include "finpercep/curriculum/schedule.h"

namespace finpercep {

struct UpdateReport {
  at::Tensor sr;                          ///< of the last batch: N x 3 x H x W, detached, in [0,1]
  Learning learning;                      ///< means over batches and updates
  Metrics metrics;                        ///< means over batches, terms and updates
  bool skipped = false, guarded = false;  ///< any update was left out: its gradient was not finite, or far larger than usual
};

/// `batches`: settings.accumulate of them. Updates parameters, average and, for NFT, the old policy.
UpdateReport improve_generator(Players& players, const std::vector<RlBatch>& batches, const RlSettings& settings, const Compute& compute,
                               double lr);

}  // namespace finpercep
