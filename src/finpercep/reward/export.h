// SPDX-License-Identifier: Apache-2.0
// The reward as TorchScript: a file that Python loads with plain torch, on any device, differentiates through and trains further.
#pragma once
#include <string>

#include "finpercep/reward/model.h"

namespace finpercep {

/// Source of the methods of such a module. Its tensors are the model's under their names, with '_' for '.'.
///   forward(x: N x 3 x H x W in [0,1], any size, any floating type; taken in that of the weights) -> (score: N, map: N x 1 x H x W), as
///   RewardModel::judge(x, stage).
std::string reward_script(const RewardModel& model, int64_t stage);

/// The bytes of the file. `facts` goes into it as JSON, the extra file "finpercep.json".
std::string export_reward(const RewardModel& model, int64_t stage, const std::string& facts);

}  // namespace finpercep
