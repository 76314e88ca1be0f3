// SPDX-License-Identifier: Apache-2.0
// MUSIQ (Ke et al., ICCV 2021): patches of 32 pixels of the picture at its own size and at long sides of 224 and 384, each through a small
// ResNet, then a transformer over all patches with hashed positions and scale embeddings.
// Convention: pyiqa `archs/musiq_arch.py`: bicubic resize without antialias (the authors' TensorFlow code uses a Gaussian: 2-3 % off).
// Weights: musiq_koniq_ckpt-e95806b9.pth (0..100), musiq_ava_ckpt-e8d3f067.pth (1..10), musiq_spaq, musiq_paq2piq (0..100), by
// tools/convert_weights.py.
#pragma once
#include <string>
#include <vector>

#include "finpercep/nets/transformer.h"

namespace finpercep {

struct Musiq {
  struct Block {
    LayerNorm norm1, norm2;
    Linear query, key, value, out, fc1, fc2;
  };

  /// `trained_on`: koniq, ava, spaq, paq2piq. model_error naming the file to supply when the weights are absent.
  static Musiq load(const std::string& trained_on, at::Device device = at::kCPU);
  static Musiq from(const TensorFile& file, const std::string& where, at::Device device = at::kCPU);

  /// x: N x 3 x H x W RGB in [0,1]. N scores in the range of the data set, higher is better.
  at::Tensor operator()(const at::Tensor& x) const;

  Conv root, conv1, conv2, conv3, shortcut;  ///< weights standardised on loading
  GroupNorm root_norm, norm1, norm2, norm3, shortcut_norm;
  Linear embedding, head;
  at::Tensor positions, scales, class_token;
  std::vector<Block> blocks;
  LayerNorm final_norm;
};

}  // namespace finpercep
