// SPDX-License-Identifier: Apache-2.0
// Samples of a run to look at.
#pragma once
#include <vector>

#include "finpercep/generate/held_out.h"
#include "finpercep/reward/model.h"

namespace finpercep {

/// A row for each of `before`, of the LR picture enlarged, the picture before, the picture now, the map that RM_stage draws of it, and the
/// photograph.
Image sample_sheet(const HeldOut& held_out, const std::vector<Image>& before, const std::vector<Image>& now, const RewardModel& reward,
                   int64_t stage);

}  // namespace finpercep
