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

struct MsSsimOptions {
  Channels channels = Channels::ycbcr;
  int crop_border = 0;
  int threads = 1;  ///< 0: all cores; the result is the same for any number
};

/// Multi-scale SSIM (Wang, Simoncelli & Bovik 2003) in the form of pyiqa `archs/ssim_arch.py`: planes rounded to integers, five levels by
/// 2 x 2 means (an odd side gets zeros in front), the clamped contrast-structure means of the first four and the SSIM of the last, each to
/// the power .0448 .2856 .3001 .2363 .1333, multiplied. 0..1. input_error when a side is below 161 pixels.
double ms_ssim(const Image& sr, const Image& ref, const MsSsimOptions& options = {});

}  // namespace finpercep
