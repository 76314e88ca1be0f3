// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/schedule.h"

#include <numeric>

namespace finpercep {

int64_t FixedSchedule::total() const { return std::accumulate(iters.begin(), iters.end(), int64_t{0}); }

int64_t FixedSchedule::stage_at(int64_t iter) const {
  std::size_t phase = 0;
  while (phase + 1 < iters.size() && iter >= iters[phase]) iter -= iters[phase++];
  return stages.at(phase);
}

}  // namespace finpercep
