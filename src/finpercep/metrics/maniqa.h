// SPDX-License-Identifier: Apache-2.0
// MANIQA (Yang et al., CVPR Workshops 2022): tokens of four blocks of a ViT-B/8; twice attention between channels ("transposed attention"),
// a 1 x 1 convolution and Swin layers; each patch gets a score and a weight, and the picture the weighted mean over its crops. Convention:
// pyiqa `archs/maniqa_arch.py`: 20 crops of 224 pixels at even steps (4 rows of 5: the steps are a quarter of the room, so the lowest strip
// is not seen); a picture of a side up to 224 is enlarged bilinearly to 225; the factor of a Swin layer is .8, for PIPAL .13. Weights:
// ckpt_koniq10k.pt, MANIQA_PIPAL-ae6d356b.pth (what SR papers print), ckpt_kadid10k.pt, by tools/convert_weights.py.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "finpercep/nets/swin.h"

namespace finpercep {

struct Maniqa {
  struct ChannelAttention {
    Linear query, key, value;
  };
  struct Stage {
    std::vector<ChannelAttention> attention;
    Conv conv;
    Swin swin;
  };

  /// `trained_on`: koniq, pipal, kadid. model_error naming the file to supply when the weights are absent.
  static Maniqa load(const std::string& trained_on, at::Device device = at::kCPU);
  static Maniqa from(const TensorFile& file, const std::string& where, const std::string& trained_on, at::Device device = at::kCPU);

  /// x: N x 3 x H x W RGB in [0,1], of any size whose long side is at most 100 short ones (input_error). N scores of 0..~1, higher is
  /// better.
  at::Tensor operator()(const at::Tensor& x) const;
  /// Crops of 224 x 224, in [0,1]: scores and weights of their patches, N x 784 each.
  std::pair<at::Tensor, at::Tensor> patches(const at::Tensor& crop) const;
  /// Top and left of the 20 crops of a picture of sides of at least 224.
  static std::vector<std::pair<int64_t, int64_t>> crops(int64_t height, int64_t width);

  Conv embedding;
  at::Tensor class_token, positions;
  std::vector<TransformerBlock> blocks;
  std::vector<Stage> stages;
  Linear score1, score2, weight1, weight2;
};

}  // namespace finpercep
