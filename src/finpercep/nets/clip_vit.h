// SPDX-License-Identifier: Apache-2.0
// CLIP's ViT-B/32 image tower (Radford et al. 2021) at its own size, 224 x 224.
#pragma once
#include <vector>

#include "finpercep/nets/transformer.h"

namespace finpercep {

struct ClipViT {
  static constexpr int64_t side = 224, patch = 32, width = 768, heads = 12, depth = 12, embedding = 512;

  /// Tensors have the names of OpenAI's state dict, "visual.*".
  explicit ClipViT(Params& params);
  /// x: N x 3 x 224 x 224 RGB in [0,1]. N x 512, not normalised.
  at::Tensor operator()(const at::Tensor& x) const;

  Conv patches;
  at::Tensor class_token, positions, projection;
  LayerNorm before, after;
  std::vector<TransformerBlock> blocks;
};

}  // namespace finpercep
