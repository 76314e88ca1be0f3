// SPDX-License-Identifier: Apache-2.0
// The convolutional trunks of AlexNet (Krizhevsky 2014, "One weird trick", the torchvision form) and VGG16 (Simonyan & Zisserman 2015),
// cut into the five slices that LPIPS (Zhang et al. 2018) compares: each ends in a ReLU.
#pragma once
#include <array>
#include <vector>

#include "finpercep/nets/blocks.h"

namespace finpercep {

/// Parameters are named features.0.weight, features.0.bias, .. in order of the convolutions; these nets are only ever loaded.
struct AlexNet {
  static constexpr std::array<int64_t, 5> slice_channels = {64, 192, 384, 256, 256};
  static constexpr int64_t min_side = 31;  ///< below it a pooling window no longer fits

  explicit AlexNet(Params& params);
  /// x: N x 3 x H x W, already normalised.
  std::array<at::Tensor, 5> operator()(const at::Tensor& x) const;

  std::vector<Conv> convs;
};

struct Vgg16 {
  static constexpr std::array<int64_t, 5> slice_channels = {64, 128, 256, 512, 512};
  static constexpr std::array<int64_t, 5> slice_convs = {2, 2, 3, 3, 3};
  static constexpr int64_t min_side = 16;

  explicit Vgg16(Params& params);
  /// x: N x 3 x H x W, already normalised. Slices end at relu1_2, relu2_2, relu3_3, relu4_3, relu5_3.
  std::array<at::Tensor, 5> operator()(const at::Tensor& x) const;

  std::vector<Conv> convs;
};

}  // namespace finpercep
