// SPDX-License-Identifier: Apache-2.0
// Deep image structure and texture similarity (Ding, Ma, Wang & Simoncelli 2020): over the picture itself and five slices of VGG16 whose
// pooling is an L2 norm under a Hanning window, 1 - sum over channels of
//   alpha (2 mx my + c1) / (mx^2 + my^2 + c1) + beta (2 cov + c2) / (vx + vy + c2),   c1 = c2 = 1e-6,
// with spatial means, variances and covariance, and learnt weights that sum to 1.
// Convention: pyiqa `archs/dists_arch.py`: native size. The authors' script first shrinks pictures to a side of 256; SR tables do not.
#pragma once
#include <torch/types.h>

#include <memory>
#include <vector>

#include "finpercep/nets/trunk_stream.h"

namespace finpercep {

struct Dists {
  /// model_error with the command that fetches the weights when they are absent.
  static Dists load(at::Device device = at::kCPU);

  /// x, y: N x 3 x H x W RGB in [0,1] on the net's device. N distances in about 0..1, lower is more alike; differentiable in both.
  /// input_error for other shapes or a side below 16 pixels.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& y) const;

  std::vector<Conv> convs;                  ///< VGG16's thirteen
  at::Tensor alpha, beta;                   ///< 1475 each: 3 + 64 + 128 + 256 + 512 + 512 channels
  at::Tensor mean, deviation;               ///< of ImageNet, 1 x 3 x 1 x 1
  std::shared_ptr<const VggStream> stream;  ///< the same net without gradients, on the CPU; may be empty

 private:
  at::Tensor streamed(const at::Tensor& x, const at::Tensor& y) const;
};

}  // namespace finpercep
