// SPDX-License-Identifier: Apache-2.0
// Held-out photographs on which a training of a generator watches metrics that it does not train by.
#pragma once
#include <limits>
#include <optional>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/generate/generator.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/nets/train_loop.h"

namespace finpercep {

/// Fields of the settings of a training: they stand beside its own.
struct ValSettings {
  int64_t count = 8;  ///< `val_count`
  int64_t size = 192;
  PhotoSettings photos;
  void visit(SettingsVisitor& v);
  bool measures() const { return !photos.photos.empty() && count > 0; }
};

class HeldOut {
 public:
  /// Centre crops of the first photographs, degraded with a fixed seed.
  HeldOut(const ValSettings& settings, const DegradeSettings& degradation, const Compute& compute);
  /// The generator's pictures of the first `count` photographs, or of all.
  std::vector<Image> pictures(const Generator& generator, int64_t count = std::numeric_limits<int64_t>::max()) const;
  /// Means over the photographs, of a picture of each: "psnry", "ssim", "lpips".
  Metrics measure(const std::vector<Image>& pictures) const;
  const TrainingPair& pair(std::size_t i) const { return pairs_.at(i); }

 private:
  std::vector<TrainingPair> pairs_;
  MetricSet metrics_;
  UpscaleOptions options_;
};

/// Before any work: usage_error for a side that the net does not take, the error of photo_files for photographs that are not there.
void check(const ValSettings& settings, const Generator& generator);
/// None where nothing is to be measured. Warns of photographs that are trained on.
std::optional<HeldOut> make_held_out(const ValSettings& settings, const PhotoSettings& training, const DegradeSettings& degradation,
                                     const Compute& compute);

}  // namespace finpercep
