// SPDX-License-Identifier: Apache-2.0
// Pseudo-opinion scores for RM_0, the base IQA, KADIS-700k style (Lin et al. 2019): pictures of known reference, judged by full-reference
// teachers. DISTS and LPIPS-vgg teach; LPIPS-alex only judges.
#pragma once
#include <vector>

#include "finpercep/fgr/set.h"

namespace finpercep {

struct OpinionSettings {
  int64_t count = 3000;      ///< pictures
  int64_t size = 128;        ///< side, pixels; at most a sample's own is taken
  double sr_share = 0.4;     ///< whole SR pictures of the set; the others are clean ones with a planted distortion
  double dists_full = 0.40;  ///< DISTS that is as bad as the scale goes
  double lpips_full = 0.70;  ///< LPIPS-vgg that is
  void visit(SettingsVisitor& v);
};

/// Pictures and what the teachers think of them.
class OpinionSet {
 public:
  struct Batch {
    at::Tensor gt, picture;  ///< N x 3 x size x size in [0,1], on the CPU
    at::Tensor opinion;      ///< N, opinion_of((DISTS / dists_full + LPIPS-vgg / lpips_full) / 2), higher is better
  };
  /// Asks the teachers, in parallel: about 0.1 s a picture of 128 x 128 and core. `set` must outlive this. model_error when the teachers'
  /// weights are absent.
  OpinionSet(const FgrSet& set, const OpinionSettings& settings, uint64_t seed, at::Device device);
  Batch batch(int64_t batch_size, int64_t iter) const;

 private:
  int64_t size() const { return static_cast<int64_t>(opinions_.size()); }
  struct Pair {
    Image gt, picture;
  };
  Pair pair(int64_t index) const;
  const FgrSet& set_;
  OpinionSettings settings_;
  uint64_t seed_;
  std::vector<float> opinions_;
};

}  // namespace finpercep
