// SPDX-License-Identifier: Apache-2.0
// A convolution made ready for inference on the CPU: weights laid out once as oneDNN wants them; bias, sum and activation inside its
// kernels.
#pragma once
#include "finpercep/nets/blocks.h"

namespace finpercep {

class PackedConv {
 public:
  /// With `of_doubled` the convolution is of the picture doubled by nearest neighbour, which is never made: four 2 x 2 kernels on the
  /// picture itself, one for each pixel of a pair of pairs, do the same in 4/9 of the work.
  PackedConv(const Conv& conv, at::ScalarType dtype, bool of_doubled);

  static bool has_bf16();

  /// x: N x C x H x W of any layout and type. The result is channels last and of the packed type; a summand is added before the activation,
  /// and only to convolutions of 1 x 1, with no activation.
  at::Tensor operator()(const at::Tensor& x, Activation activation, const at::Tensor& summand = {}) const;

 private:
  enum class Kind {
    product,  ///< 1 x 1: one matrix product
    to_one,   ///< to a single channel: a product with the weights of every tap, whose shifted results are summed; oneDNN would compute 16
              ///< channels
    window,
    of_doubled,
  };
  at::Tensor product(const at::Tensor& x, Activation activation, const at::Tensor& summand) const;
  at::Tensor to_one(const at::Tensor& x) const;

  Kind kind_;
  at::Tensor weight_, bias_;
  int64_t kernel_, padding_, stride_, groups_;
};

}  // namespace finpercep
