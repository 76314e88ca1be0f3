// SPDX-License-Identifier: Apache-2.0
// Held-out photographs on which a run watches metrics that are not in its reward.
#pragma once
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
  /// Means over the photographs: "val_psnry", "val_ssim", "val_lpips".
  Metrics measure(const Generator& generator) const;
  /// To look at: a row for each of the first `rows` photographs, of the LR picture enlarged, the reference's picture, the generator's, the map that RM_stage
  /// draws of it, and the photograph.
  Image sheet(const Generator& reference, const Generator& generator, const RewardModel& reward, int64_t stage, int64_t rows) const;

 private:
  std::vector<TrainingPair> pairs_;
  MetricSet metrics_;
  UpscaleOptions options_;
};

}  // namespace finpercep
