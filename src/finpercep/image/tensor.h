// SPDX-License-Identifier: Apache-2.0
// The one bridge between pictures and tensors.
#pragma once
#include <torch/types.h>

#include "finpercep/image.h"

namespace finpercep {

/// 1 x C x H x W float32 on the CPU, a copy.
at::Tensor to_tensor(const Image& image);
/// From C x H x W or 1 x C x H x W of any device and floating type; values are copied as they are.
Image to_image(const at::Tensor& tensor);
/// N x C x H x W from pictures of equal size.
at::Tensor to_batch(const std::vector<Image>& images);

/// Whether more than a twentieth of the values lie below -.25 or above 1.25: pictures of [-1,1] or 0..255 in the place of [0,1].
bool far_outside(const at::Tensor& pictures);

}  // namespace finpercep
