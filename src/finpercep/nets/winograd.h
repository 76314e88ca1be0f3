// SPDX-License-Identifier: Apache-2.0
// 3 x 3 convolution with bias and (leaky) ReLU by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016): a quarter of the
// multiplications of the direct form, as 36 matrix products on tiles that stay in the cache. For inference on the CPU; float32 differs from
// the direct form by about 1e-5 of the largest value.
#pragma once
#include "finpercep/nets/blocks.h"

namespace finpercep {

class WinogradConv {
 public:
  /// `conv`: 3 x 3, stride 1, one group, channels multiples of 8, float32 on the CPU. Its weights are transformed here, once. `slopes` of
  /// what is below zero, one a channel: zeros where none are given (ReLU), ones for no activation.
  explicit WinogradConv(const Conv& conv, const at::Tensor& slopes = {});

  /// x: H x W x C, contiguous. The row above it is taken as zeros with `top`, the one below with `bottom`; the columns beside it are
  /// zeros. (H - 2 + top + bottom) x W x O.
  at::Tensor operator()(const at::Tensor& x, bool top, bool bottom) const;

 private:
  at::Tensor weights_, bias_, slopes_;  // 36 x C x O; O; O
};

}  // namespace finpercep
