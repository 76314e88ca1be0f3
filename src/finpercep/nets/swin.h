// SPDX-License-Identifier: Apache-2.0
// Swin blocks (Liu et al., ICCV 2021): attention inside windows, which every second block shifts. Layers end in a convolution and are added
// to their input with a factor, the form that MANIQA uses.
#pragma once
#include <vector>

#include "finpercep/nets/transformer.h"

namespace finpercep {

struct Swin {
  struct Block {
    LayerNorm norm1, norm2;
    Linear qkv, out, fc1, fc2;
    at::Tensor offsets;  ///< what each of the (2 window - 1)^2 relative positions adds to the logits, by head
    bool shifted = false;
  };
  struct Layer {
    std::vector<Block> blocks;
    Conv conv;
  };
  static constexpr int64_t window = 4, heads = 4;

  /// Tensors have the names of MANIQA's state dict, PREFIX "layers.0.blocks.1.attn.qkv.weight" and so on. `scale` is the factor of a layer.
  Swin(Params& params, const std::string& prefix, int64_t dim, int64_t mlp, double scale);
  /// x: N x rows * columns x dim tokens; rows and columns multiples of the window.
  at::Tensor operator()(at::Tensor x, int64_t rows, int64_t columns) const;

  std::vector<Layer> layers;
  double scale;
};

}  // namespace finpercep
