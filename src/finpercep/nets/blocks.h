// SPDX-License-Identifier: Apache-2.0
// The layers that the nets are made of.
#pragma once
#include <memory>

#include "finpercep/nets/params.h"

namespace finpercep {

enum class Activation { none, relu6, silu };

class PackedConv;

struct Conv {
  at::Tensor weight, bias;
  int64_t stride = 1, padding = 0, groups = 1;
  bool more_below = false;  ///< one more zero below and to the right: TensorFlow's SAME padding of even pictures under stride 2
  std::shared_ptr<const PackedConv> packed = nullptr;

  at::Tensor operator()(const at::Tensor& x, Activation activation = Activation::none) const;
  /// other + conv(x), without activation.
  at::Tensor added_to(const at::Tensor& other, const at::Tensor& x) const;
  /// The convolution of `x` doubled by nearest neighbour.
  at::Tensor of_doubled(const at::Tensor& x) const;

  /// From here on, calls without gradients on the CPU run on weights laid out once in `dtype`, with bias and activation inside the kernel,
  /// and answer in it (packed_conv.h). Weights changed later are not seen. Nothing without can_pack(). `doubled`: for of_doubled.
  void pack(at::ScalarType dtype, bool doubled = false);
};
/// Whether oneDNN is there and computes in `dtype` on this processor.
bool can_pack(at::Device device, at::ScalarType dtype);

struct ConvOptions {
  int64_t stride = 1, groups = 1;
  double gain = 1.4142135623730951;  ///< of the initial weights; 0 starts the layer at zero
  bool tensorflow_same = false;      ///< under stride 2 the larger half of the padding lies right and below
};
/// "Same" zero padding for odd kernels.
Conv make_conv(Params& params, const std::string& name, int64_t in, int64_t out, int64_t kernel, ConvOptions options = {});

struct Linear {
  at::Tensor weight, bias;
  at::Tensor operator()(const at::Tensor& x) const;
};
Linear make_linear(Params& params, const std::string& name, int64_t in, int64_t out, double gain = 1.0);

struct GroupNorm {
  at::Tensor weight, bias;
  int64_t groups = 1;
  double eps = 1e-5;
  at::Tensor operator()(const at::Tensor& x) const;
};
GroupNorm make_group_norm(Params& params, const std::string& name, int64_t channels, int64_t groups, double eps = 1e-5);

/// Sinusoidal embedding (Vaswani et al. 2017) of `t` (N) in [0,1], scaled by 1000: N x dim.
at::Tensor time_embedding(const at::Tensor& t, int64_t dim);

/// Bilinear, align_corners=False.
at::Tensor upsample_to(const at::Tensor& x, int64_t height, int64_t width);

}  // namespace finpercep
