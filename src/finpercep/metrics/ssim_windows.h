// SPDX-License-Identifier: Apache-2.0
// The inner part of SSIM and MS-SSIM: all full 11 x 11 Gaussian windows (sigma 1.5) of one plane, in float64 on the scale 0..255.
#pragma once
#include <functional>

namespace finpercep {

/// Writes row `y` of a plane to the given place. Called from several threads.
using RowReader = std::function<void(int y, double* to)>;

struct WindowMeans {
  double similarity = 0;  ///< mean of luminance factor times contrast-structure factor
  double contrast = 0;    ///< mean of the contrast-structure factor alone
};

constexpr int ssim_window = 11;

/// Two planes of equal size, both sides at least `ssim_window`. `clamped`: contrast-structure factors below 0 count as 0.
/// `threads` 0: all cores; the result is the same for any number. Holds 44 rows of doubles a thread.
WindowMeans ssim_windows(const RowReader& a, const RowReader& b, int width, int height, bool clamped, int threads);

}  // namespace finpercep
