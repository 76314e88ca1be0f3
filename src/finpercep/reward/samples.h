// SPDX-License-Identifier: Apache-2.0
// Batches of FGR samples for training: a part of each sample, zoomed, mirrored, recoloured and varied as a whole, so that defects are
// learnt and not the sharpness, scale or palette of one set.
#pragma once
#include <string>
#include <vector>

#include "finpercep/fgr/set.h"

namespace finpercep {

struct SampleSettings {
  int64_t size = 192;                        ///< side of the pictures trained on, pixels; at most the set's own is taken
  std::array<double, 2> zoom = {0.75, 1.5};  ///< a part of size / zoom pixels is resized to size
  double colour_prob = 0.3;                  ///< share recoloured: gain, gamma and saturation, all pictures of a sample alike
  VariationSettings variation = {
      .prob = 0.3};                 ///< a share is softened, grained, JPEG-ed or rescaled: clean, swapped and SR alike; the label stays
  std::string label_part = "both";  ///< of M_gt: both (the paper), pixel or feature alone, for comparison
  void visit(SettingsVisitor& v);
};

/// N x 3 x size x size, label and mask N x 1 x size x size, values in [0,1].
struct FgrBatch {
  at::Tensor gt, sr, syn, mask, label;
  FgrBatch to(at::Device device) const { return {gt.to(device), sr.to(device), syn.to(device), mask.to(device), label.to(device)}; }
};

/// Takes the colours of a share of the samples: luma (BT.601) in all three channels. `pictures`: N x 3 x H x W each, a sample's alike.
void take_colours(const std::vector<at::Tensor*>& pictures, double share, Random random);

/// Draws batches from a set. Item (seed, iter) is the same whenever it is asked for, from any thread.
class FgrSampler {
 public:
  /// `set` must outlive the sampler.
  FgrSampler(const FgrSet& set, const SampleSettings& settings, uint64_t seed);
  /// Epochs: each is a permutation of the set. On the CPU.
  FgrBatch batch(int64_t batch_size, int64_t iter) const;

 private:
  Image part_of_label(const FgrSample& sample) const;  // pixel or feature
  const FgrSet& set_;
  SampleSettings settings_;
  uint64_t seed_;
  double part_scale_ = 1;
};

}  // namespace finpercep
