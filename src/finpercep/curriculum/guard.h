// SPDX-License-Identifier: Apache-2.0
// Gradient guard: an update whose gradient is far larger than usual is left out.
#pragma once
#include <vector>

#include "finpercep/nets/params.h"

namespace finpercep {

class GradientGuard {
 public:
  /// ratio 0: lets everything through.
  explicit GradientGuard(double ratio) : ratio_(ratio) {}
  /// True if `norm` is more than `ratio` times the median of the last 50 norms, once there are 10 of them. The new norm is remembered
  /// whatever it is: where gradients have become larger for good the median follows, and updates go on. Norms of 0 (the
  /// hinge is satisfied) and not finite ones (the optimiser leaves that update out by itself) are neither remembered nor judged.
  bool refuses(double norm);
  void forget() { norms_.clear(); }

  at::Tensor state() const;  ///< the norms, for exact resume
  void restore(const at::Tensor& state);

 private:
  double ratio_;
  std::vector<double> norms_;  // oldest first
};

}  // namespace finpercep
