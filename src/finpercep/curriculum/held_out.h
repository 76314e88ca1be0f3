// SPDX-License-Identifier: Apache-2.0
// Held-out photographs on which a run watches metrics that are not in its reward.
#pragma once
#include <limits>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/generate/generator.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/nets/train_loop.h"
#include "finpercep/reward/model.h"

namespace finpercep {

class HeldOut {
 public:
  /// Centre crops of `size` pixels of the first `count` photographs, degraded with a fixed seed.
  HeldOut(const PhotoSettings& photos, const DegradeSettings& degradation, int64_t count, int64_t size, const Compute& compute);
  /// The generator's pictures of the first `count` photographs, or of all.
  std::vector<Image> pictures(const Generator& generator, int64_t count = std::numeric_limits<int64_t>::max()) const;
  /// Means over the photographs, of a picture of each: "val_psnry", "val_ssim", "val_lpips".
  Metrics measure(const std::vector<Image>& pictures) const;
  /// To look at: a row for each of `before`, of the LR picture enlarged, the picture before, the picture now, the map that RM_stage draws
  /// of it, and the photograph.
  Image sheet(const std::vector<Image>& before, const std::vector<Image>& now, const RewardModel& reward, int64_t stage) const;

 private:
  std::vector<TrainingPair> pairs_;
  MetricSet metrics_;
  UpscaleOptions options_;
};

}  // namespace finpercep
