// SPDX-License-Identifier: Apache-2.0
// Watches a run for reward hacking: a picture that the reward likes more while it moves away, in a way that no restoration has, from what
// it was made of. Looks at a few photographs that do not change, through the averaged weights. It is no judge of quality and uses none of
// the metrics that judge (LPIPS-alex, NIQE, BRISQUE).
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/generate/generator.h"
#include "finpercep/nets/train_loop.h"
#include "finpercep/rl/reward_signal.h"

namespace finpercep {

struct MonitorSettings {
  int64_t freq = 25;
  int64_t count = 4;
  int64_t size = 128;
  double colour = 0.015, brightness = 0.02, lr = 0.02;
  double sharpness = 0.8, noise = 1, grid = 0.005;
  double disagreement = 0.04;
  double reward_lost = 0.75;
  bool rollback = true;
  int64_t max_rollbacks = 6;  ///< after that many the next one ends the run: what is left of the learning rate moves nothing
  void visit(SettingsVisitor& v);
};

/// How far pictures have gone from those of the frozen reference, beyond what would bring them nearer to the photographs. 0 is healthy.
struct Vitals {
  double colour = 0;      ///< growth of the mean distance in chroma to the LR picture, both averaged over 16 x 16 pixels
  double brightness = 0;  ///< the same in luma
  double lr = 0;          ///< growth of the mean distance to the LR picture, both averaged over 4 x 4 pixels
  double sharpness = 0;  ///< log2 of the high-frequency energy over that of the reference's picture or the photograph, whichever is greater
  double noise = 0;      ///< the same of the median response to Immerkaer's noise mask, which edges do not move
  double grid = 0;       ///< amplitude, in luma, of the strongest lattice of period 16 or a part of it that neither the reference's picture
                         ///< nor the photograph has
  double reward_gain = 0;   ///< reward over that of the reference's pictures, by the judge of the moment
  double disagreement = 0;  ///< SSIM to the photograph that was lost; Monitor::look takes it as 0 where the reward has not risen
  Metrics metrics() const;  ///< "monitor_colour", ..
};

/// All N x 3 x H x W in [0,1], sides at least 64: pictures, the reference's, photographs, conditions (LR pictures up-sampled). Means over
/// the pictures; rewards are left at 0.
Vitals examine(const at::Tensor& sr, const at::Tensor& before, const at::Tensor& gt, const at::Tensor& y);

/// What is beyond its limit, in words: "grid 0.031 (limit 0.005), noise 1.4 (limit 1)". Empty where all is well. NaN is beyond any limit.
/// "reward lost" is no hack but a failure: pictures that the reward likes less than the reference's by more than reward_lost. Of 16 runs
/// that ended well 15 fell by .5 at most on the way (docs/results/rl-studies.md).
std::string alarm(const Vitals& vitals, const MonitorSettings& settings);

class Monitor {
 public:
  /// Centre crops of the first `count` photographs, degraded with a fixed seed, and the reference's pictures of them.
  Monitor(const PhotoSettings& photos, const DegradeSettings& degradation, const MonitorSettings& settings, const Generator& reference,
          const Compute& compute);
  Vitals look(const Generator& generator, const RewardModel& reward, int64_t stage, const RunningScore& running,
              const RewardSignalSettings& signal) const;

 private:
  at::Tensor pictures(const Generator& generator) const;
  Compute compute_;
  at::Tensor gt_, y_, before_;
  std::vector<at::Tensor> noise_;
};

}  // namespace finpercep
