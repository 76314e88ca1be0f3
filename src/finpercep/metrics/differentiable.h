// SPDX-License-Identifier: Apache-2.0
// PSNR and SSIM of tensors, for training and on any device. LPIPS and DISTS are of this kind by themselves. Definitions: psnr.h, ssim.h;
// nothing is rounded, for rounding has no gradient, so on 8-bit pictures the values differ from the printed ones by about 1e-4.
#pragma once
#include <torch/types.h>

#include "finpercep/metrics/luma.h"

namespace finpercep {

/// x: N x 3 x H x W RGB in [0,1] to N x 1 x H x W in [0,1]; N x C x H x W as it is for `rgb`.
at::Tensor luma_of(const at::Tensor& x, Channels channels);

/// dB of each picture: N. x, y: N x C x H x W in [0,1]; `added` to mse keeps it finite (80 dB) and its gradient bounded.
at::Tensor psnr(const at::Tensor& x, const at::Tensor& y, Channels channels = Channels::rgb, double added = 1e-8);

/// Mean similarity of each picture: N, in [-1,1]. x, y: N x C x H x W in [0,1]. `clamped`: as in SsimOptions.
/// input_error when a side is below 11 pixels.
at::Tensor ssim(const at::Tensor& x, const at::Tensor& y, Channels channels = Channels::ycbcr, bool clamped = true);

}  // namespace finpercep
