// SPDX-License-Identifier: Apache-2.0
// Whether a score of one picture follows what is done to it: distortions of known strength, degrees of restoration, draws of one generator.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "finpercep/degrade/pipeline.h"
#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/reward/model.h"

namespace finpercep {

/// Higher is better.
using Score = std::function<double(const Image&)>;
using NamedResolver = std::pair<std::string, SuperResolver>;

struct ResponseOptions {
  uint64_t seed = 0;
  BootstrapOptions bootstrap;
  std::string device = "auto";  ///< of the metrics
};

/// A row for each of distortion_kinds() and one for all; over photographs, with intervals: share of the adjacent pairs of (clean, level 1
/// .. 5) that the score puts in order; SRCC of the score with weakness (1: falls all the way); score of the clean picture less that of
/// level 5.
Table distortion_response(const std::vector<Image>& photos, const Score& score, const ResponseOptions& options);

/// usage_error where it enlarges by another factor than the degradation's, as a first picture says.
void check_factor(const NamedResolver& restorer, const DegradeSettings& degradation);
/// Each photograph (sides multiples of the factor) is degraded and restored. SRCC of the score with LPIPS-alex, DISTS and PSNR within each
/// photograph, mean over photographs with intervals: over six blends from bicubic to clean; over the given restorations; over both.
Table restoration_response(const std::vector<Image>& photos, const Score& score, const std::vector<NamedResolver>& restorers,
                           const DegradeSettings& degradation, const ResponseOptions& options);

/// What stage k of the ladder says of a picture.
struct StageReward {
  double score = 0, logit = 0;
  double region = 0;  ///< 1 - mean of the worst fifth of the map
};
/// Of stages 0 .. the model's finest, from one pass.
std::vector<StageReward> stage_rewards(const RewardModel& model, const Image& picture, at::Device device);

/// A row for each stage: over the degraded photographs, mean and interval of the standard deviation over `draws` restorations by seeds 0
/// ..: of S, of its logit, of the region term; and the first over the standard deviation of the pictures' mean S over photographs. The
/// paper's premise is that the first grows with k.
Table reward_variance(const std::vector<Image>& photos, const std::function<std::vector<StageReward>(const Image&)>& judge,
                      const SuperResolver& generator, const DegradeSettings& degradation, int draws, const ResponseOptions& options);

}  // namespace finpercep
