// SPDX-License-Identifier: Apache-2.0
// LIQE (Zhang et al., CVPR 2023): windows of 224 pixels every 32, fifteen of them evenly chosen; per window the cosines of CLIP ViT-B/32
// with words; their mean over windows through a softmax; expectation of the quality 1..5. Two published forms:
//   liqe      "a photo with {bad, poor, fair, good, perfect} quality"; liqe_koniq.pt of the authors.
//   liqe_mix  "a photo of a {scene} with {distortion} artifacts, which is of {..} quality", all 5 x 9 x 11 of them, the shares of a quality
//             summed over scenes and distortions; liqe_mix.pt, trained on six data sets.
// Weights by tools/convert_weights.py.
#pragma once
#include <string>

#include "finpercep/nets/clip_vit.h"

namespace finpercep {

struct Liqe {
  /// `form`: liqe or liqe_mix. model_error naming the file to supply when the weights are absent.
  static Liqe load(const std::string& form = "liqe", at::Device device = at::kCPU);
  /// The words in the file tell the form.
  static Liqe from(const TensorFile& file, const std::string& where, at::Device device = at::kCPU);

  /// x: N x 3 x H x W RGB in [0,1], sides of at least 224 (input_error below). N scores in 1..5, higher is better.
  at::Tensor operator()(const at::Tensor& x) const;

  ClipViT net;
  at::Tensor text;  ///< 5 or 495 x 512 unit vectors, by quality, times CLIP's logit scale
};

}  // namespace finpercep
