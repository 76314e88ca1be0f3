// SPDX-License-Identifier: Apache-2.0
// Composition and labels of FGR-30k: I_syn = M I_SR + (1 - M) I_GT and M_gt = Normalize(alpha Diff_pixel + (1 - alpha) Diff_feat).
#pragma once
#include <filesystem>
#include <memory>

#include "finpercep/base/settings.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

struct LabelSettings {
  double alpha = 0.6;          ///< weight of the pixel difference; the paper does not give its value
  double scale = 0;            ///< raw difference that becomes 1 (Normalize); 0: the quantile below over the data set
  double quantile = 0.95;      ///< of the raw differences inside the swapped regions
  void visit(SettingsVisitor& v);
};

/// Frozen features whose distance tells what a viewer would call different. EfficientNet-Lite0 (ImageNet) at strides 4, 8 and 16.
class LabelFeatures {
 public:
  explicit LabelFeatures(at::Device device);
  /// 1 - cosine similarity per location, up-sampled and averaged over the strides: N x 1 x H x W in [0, 2]. Any size of picture.
  at::Tensor distance(const at::Tensor& a, const at::Tensor& b) const;

 private:
  Params params_;
  EfficientNetLite0 net_;
};

/// I_syn. All N x C x H x W; mask N x 1 x H x W in [0,1].
at::Tensor compose(const at::Tensor& gt, const at::Tensor& sr, const at::Tensor& mask);

/// alpha * mean_c |gt - syn| + (1 - alpha) * feature distance, zero outside the mask: N x 1 x H x W, not normalised.
at::Tensor raw_difference(const LabelFeatures& features, const at::Tensor& gt, const at::Tensor& syn, const at::Tensor& mask, double alpha);

/// Normalize: raw / scale, clamped to [0,1].
at::Tensor normalize_label(const at::Tensor& raw, double scale);

}  // namespace finpercep
