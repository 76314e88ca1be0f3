// SPDX-License-Identifier: Apache-2.0
// Peak signal-to-noise ratio in dB: 10 log10(1 / mse), values in [0,1], mse over all compared planes and pixels.
// Conventions: pyiqa `archs/psnr_arch.py` (adds 1e-8 to mse), BasicSR `metrics/psnr_ssim.py` (adds nothing, infinite for equal pictures).
#pragma once
#include "finpercep/metrics/luma.h"

namespace finpercep {

struct PsnrOptions {
  Channels channels = Channels::rgb;
  int crop_border = 0;
  double added = 1e-8;  ///< to mse: equal pictures score 80 dB
  double floor = 0;     ///< least mse; BasicSR's form uses added = 0, floor = 1e-10: equal pictures score 100 dB, so that means stay finite
  int threads = 1;      ///< 0: all cores; the result is the same for any number
};

double psnr(const Image& sr, const Image& ref, const PsnrOptions& options = {});

}  // namespace finpercep
