// SPDX-License-Identifier: Apache-2.0
// What PSNR and SSIM compare. Half of all "my number differs from the paper" is this choice: Y-PSNR by YCbCr is exactly
// 20 log10(255/219) = 1.322 dB above Y-PSNR by YIQ.
#pragma once
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

enum class Channels {
  rgb,
  yiq,    ///< Y = .299 R + .587 G + .114 B, full range (pyiqa's default)
  ycbcr,  ///< Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255, studio range of BT.601 (MATLAB, BasicSR, StableSR's tables)
};

/// The planes to compare, on the scale 0..255, without `crop_border` pixels at each side; `rounded` to integers (half to even) or not.
struct Planes {
  int width = 0, height = 0;
  std::vector<std::vector<double>> planes;
};
/// input_error when a colour conversion is asked of a gray picture or the border leaves nothing.
Planes planes_of(const Image& image, Channels channels, int crop_border, bool rounded);

/// input_error naming both sizes unless they are equal.
void require_same_size(const Image& sr, const Image& ref, const std::string& metric);

}  // namespace finpercep
