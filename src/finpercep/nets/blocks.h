// SPDX-License-Identifier: Apache-2.0
// The layers that the nets are made of.
#pragma once
#include "finpercep/nets/params.h"

namespace finpercep {

struct Conv {
  at::Tensor weight, bias;
  int64_t stride = 1, padding = 0, groups = 1;
  at::Tensor operator()(const at::Tensor& x) const;
};
struct ConvOptions {
  int64_t stride = 1, groups = 1;
  double gain = 1.4142135623730951;  ///< of the initial weights; 0 starts the layer at zero
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
  at::Tensor operator()(const at::Tensor& x) const;
};
GroupNorm make_group_norm(Params& params, const std::string& name, int64_t channels, int64_t groups);

/// Sinusoidal embedding (Vaswani et al. 2017) of `t` (N) in [0,1], scaled by 1000: N x dim.
at::Tensor time_embedding(const at::Tensor& t, int64_t dim);

/// Bilinear, align_corners=False.
at::Tensor upsample_to(const at::Tensor& x, int64_t height, int64_t width);

}  // namespace finpercep
