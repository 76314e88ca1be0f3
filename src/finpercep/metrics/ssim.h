// SPDX-License-Identifier: Apache-2.0
// Structural similarity (Wang, Bovik, Sheikh & Simoncelli 2004): mean over all full 11 x 11 Gaussian windows (sigma 1.5) of
//   (2 mx my + C1) / (mx^2 + my^2 + C1) * (2 sxy + C2) / (sx^2 + sy^2 + C2),   C1 = (.01 * 255)^2, C2 = (.03 * 255)^2,
// in float64 on the scale 0..255, no down-sampling, mean over the compared planes.
// Conventions: pyiqa `archs/ssim_arch.py` (planes rounded to integers, second factor clamped at 0), BasicSR `metrics/psnr_ssim.py`
// (neither).
#pragma once
#include "finpercep/metrics/luma.h"

namespace finpercep {

struct SsimOptions {
  Channels channels = Channels::ycbcr;
  int crop_border = 0;
  bool rounded = true;
  bool clamped = true;  ///< ReLU on the contrast-structure factor
  int threads = 1;      ///< 0: all cores; the result is the same for any number
};

/// input_error when a side is below 11 pixels.
double ssim(const Image& sr, const Image& ref, const SsimOptions& options = {});

}  // namespace finpercep
