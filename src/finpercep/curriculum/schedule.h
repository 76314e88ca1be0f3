// SPDX-License-Identifier: Apache-2.0
// Which RM_k rewards the generator at which iteration.
#pragma once
#include <cstdint>
#include <vector>

namespace finpercep {

/// One reward stage a phase: `stages[i]` holds for `iters[i]` iterations, the last for ever.
///   CCL            stages {0,1,2,3,4}
///   global score   stages {0}
///   no curriculum  stages {4}
struct FixedSchedule {
  std::vector<int64_t> stages, iters;
  int64_t total() const;
  int64_t stage_at(int64_t iter) const;
};

}  // namespace finpercep
