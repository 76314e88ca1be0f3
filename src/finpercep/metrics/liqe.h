// SPDX-License-Identifier: Apache-2.0
// LIQE (Zhang et al., CVPR 2023), the quality-only form: windows of 224 pixels every 32, fifteen of them evenly chosen; per window the cosines
// of CLIP ViT-B/32 with "a photo with {bad, poor, fair, good, perfect} quality"; their mean over windows through a softmax; expectation of 1..5.
// Weights: liqe_koniq.pt of the authors, by tools/convert_weights.py.
#pragma once
#include <string>

#include "finpercep/nets/clip_vit.h"

namespace finpercep {

struct Liqe {
  /// model_error naming the file to supply when the weights are absent.
  static Liqe load(at::Device device = at::kCPU);
  static Liqe from(const TensorFile& file, const std::string& where, at::Device device = at::kCPU);

  /// x: N x 3 x H x W RGB in [0,1], sides of at least 224 (input_error below). N scores in 1..5, higher is better.
  at::Tensor operator()(const at::Tensor& x) const;

  ClipViT net;
  at::Tensor text;  ///< 5 x 512 unit vectors times CLIP's logit scale
};

}  // namespace finpercep
