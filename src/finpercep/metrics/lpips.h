// SPDX-License-Identifier: Apache-2.0
// Learned perceptual image patch similarity v0.1 (Zhang, Isola, Efros, Shechtman & Wang 2018): distance of unit-normalised features,
// squared, weighted by learnt non-negative channel weights, averaged over the pixels of five slices of AlexNet or VGG16 and summed.
// Convention: pyiqa `archs/lpips_arch.py`. AlexNet's is what SR tables print; VGG's is what SR methods train on.
#pragma once
#include <torch/types.h>

#include <array>
#include <functional>
#include <string>

#include "finpercep/nets/trunk_stream.h"

namespace finpercep {

struct Lpips {
  /// `net`: "alex" or "vgg". model_error with the command that fetches the weights when they are absent.
  static Lpips load(const std::string& net, at::Device device = at::kCPU);

  /// x, y: N x 3 x H x W RGB in [0,1] on the net's device. N distances, lower is more alike; differentiable in both.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& y) const;
  /// The same before the spatial mean, each slice enlarged bilinearly: N x 1 x H x W.
  at::Tensor map(const at::Tensor& x, const at::Tensor& y) const;

  std::function<std::array<at::Tensor, 5>(const at::Tensor&)> features;
  /// The same net for two pictures without gradients, on the CPU: several times as fast and in a fraction of the memory. May be empty.
  std::function<void(const at::Tensor& a, const at::Tensor& b, const TakeFeatures& take)> stream;
  std::array<at::Tensor, 5> weights;  ///< 1 x C x 1 x 1
  at::Tensor shift, scale;            ///< of the input in [-1,1]
  int64_t min_side = 0;

 private:
  void require_pair(const at::Tensor& x, const at::Tensor& y) const;
  at::Tensor streamed(const at::Tensor& x, const at::Tensor& y) const;
  std::array<at::Tensor, 5> distances(const at::Tensor& x, const at::Tensor& y) const;  // N x 1 x h x w
};

}  // namespace finpercep
