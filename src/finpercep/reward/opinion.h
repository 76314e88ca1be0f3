// SPDX-License-Identifier: Apache-2.0
// Pseudo-opinion scores, KADIS-700k style (Lin et al. 2019): pictures of known reference, judged by full-reference teachers. RM_0, the base
// IQA, learns from them, and by choice the score of the stages above. DISTS and LPIPS-vgg teach; LPIPS-alex only judges.
#pragma once
#include <vector>

#include "finpercep/fgr/set.h"
#include "finpercep/metrics/dists.h"
#include "finpercep/metrics/lpips.h"

namespace finpercep {

struct OpinionSettings {
  std::string of = "label";  ///< whose the stages above RM_0 learn: "label", its mean, or "teachers", of each sample as it is trained on
  double share = 0.5;        ///< of a batch's samples that the teachers are asked of there: they take longer than the training itself
  int64_t count = 3000;      ///< pictures
  int64_t size = 128;        ///< side, pixels; at most a sample's own is taken
  double sr_share = 0.4;     ///< whole SR pictures of the set; the others are clean ones with a planted distortion
  double dists_full = 0.40;  ///< DISTS that is as bad as the scale goes
  double lpips_full = 0.70;  ///< LPIPS-vgg that is
  void visit(SettingsVisitor& v);
};

struct Teachers {
  /// model_error when their weights are absent.
  static Teachers load(const OpinionSettings& settings, at::Device device);
  /// N pictures beside their originals, N x 3 x H x W in [0,1] on the teachers' device: N, opinion_of((DISTS / dists_full + LPIPS-vgg /
  /// lpips_full) / 2), higher is better. About 0.1 s a picture of 128 x 128 and core.
  at::Tensor opinion(const at::Tensor& picture, const at::Tensor& gt) const;

  Dists dists;
  Lpips lpips;
  double dists_full, lpips_full;
};

/// Pictures and what the teachers think of them.
class OpinionSet {
 public:
  struct Batch {
    at::Tensor gt, picture;  ///< N x 3 x size x size in [0,1], on the CPU
    at::Tensor opinion;      ///< N
  };
  /// Asks the teachers, in parallel. `set` must outlive this.
  OpinionSet(const FgrSet& set, const OpinionSettings& settings, uint64_t seed, const Teachers& teachers, at::Device device);
  Batch batch(int64_t batch_size, int64_t iter) const;
  int64_t size() const { return static_cast<int64_t>(opinions_.size()); }

 private:
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
