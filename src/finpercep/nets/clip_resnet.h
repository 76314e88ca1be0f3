// SPDX-License-Identifier: Apache-2.0
// CLIP's RN50 image tower (Radford et al. 2021): a ResNet-50 with three stem convolutions, average pooling instead of strides, and
// attention pooling at the end. Attention pools without positional embedding, as CLIP-IQA (Wang et al., AAAI 2023) does, so any size goes.
#pragma once
#include <array>

#include "finpercep/nets/blocks.h"

namespace finpercep {

/// Batch normalisation is folded into the convolutions when the weights are loaded.
struct ClipResNet {
  struct Block {
    Conv conv1, conv2, conv3;
    Conv down;  ///< undefined weight where the shortcut is the input itself
    int64_t stride = 1;
  };
  static constexpr std::array<int64_t, 5> tap_channels = {64, 256, 512, 1024, 2048};
  static constexpr int64_t embedding = 1024, heads = 32, min_side = 32;

  /// `with_pool` false leaves out what embed() needs.
  explicit ClipResNet(Params& params, const std::string& prefix = "encoder.", bool with_pool = true);

  /// x: N x 3 x H x W RGB in [0,1], sides of at least 32. Features at strides 2, 4, 8, 16, 32 (sizes rounded down).
  std::array<at::Tensor, 5> operator()(const at::Tensor& x) const;
  /// The last tap to the joint space of pictures and words: N x 1024, not normalised.
  at::Tensor embed(const at::Tensor& features) const;

  std::array<Conv, 3> stem;
  std::vector<Block> blocks;
  Linear query, key, value, out;  ///< undefined without the pool
};

/// Loads the tensors "visual.*" of OpenAI's state dict, those of the pool where the net has one.
void load_clip(const ClipResNet& net, const TensorFile& file, const std::string& where);

}  // namespace finpercep
