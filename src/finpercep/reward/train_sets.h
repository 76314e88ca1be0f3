// SPDX-License-Identifier: Apache-2.0
// The FGR sets that a reward is trained on and measured on.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "finpercep/base/inputs.h"
#include "finpercep/fgr/set.h"
#include "finpercep/reward/train.h"

namespace finpercep {

/// Leaves out what the settings do not want; usage_error where fgr_without names no source of the set.
void choose_samples(FgrSet& set, const RewardTrainSettings& settings);
/// The folders' sets as one; none for no folder.
std::optional<FgrSet> read_sets(const std::vector<std::string>& folders);
/// The chosen samples of fgr_dirs; none where there are none.
std::optional<FgrSet> read_chosen(const RewardTrainSettings& settings);

void warn_of_shared_photos(const FgrSet& trained_on, const FgrSet& held_out);

/// What a run goes on with or not at all; of samples made in memory inputs_of(FgrBuilder) beside it.
Inputs inputs_of(const RewardTrainSettings& settings);

}  // namespace finpercep
