// SPDX-License-Identifier: Apache-2.0
// CLIP-IQA (Wang, Chan & Loy, AAAI 2023): how much nearer a picture's CLIP RN50 embedding is to "good" words than to their opposites.
//   per pair: softmax of (scale * cosine with positive, scale * cosine with negative); the score is the mean of the positives' shares.
// Two published forms: `pairs` of pyiqa (Good/bad image, Sharp/blurry image, sharp/blurry edges, High/low resolution image,
// Noise-free/noisy image) and the paper's and piq's one pair ("Good photo.", "Bad photo.").
// Native size, no positional embedding in the attention pooling. Weights: RN50.pt of OpenAI CLIP, by tools/convert_weights.py, which also
// runs the words through CLIP's text tower once.
#pragma once
#include <string>

#include "finpercep/nets/clip_resnet.h"

namespace finpercep {

struct ClipIqa {
  /// `prompts`: "pairs" or "pair". model_error naming the file to supply when the weights are absent.
  static ClipIqa load(const std::string& prompts, at::Device device = at::kCPU);
  /// The same from a file's tensors.
  static ClipIqa from(const TensorFile& file, const std::string& where, const std::string& prompts, at::Device device = at::kCPU);

  /// x: N x 3 x H x W RGB in [0,1], sides of at least 32 (input_error below). N scores in 0..1, higher is better; differentiable.
  at::Tensor operator()(const at::Tensor& x) const;

  ClipResNet net;
  at::Tensor text;  ///< 2 P x 1024 unit vectors, positive and negative of each pair in turn, times CLIP's logit scale
};

}  // namespace finpercep
