// SPDX-License-Identifier: Apache-2.0
// Gradient magnitude similarity deviation (Xue, Zhang, Mou & Bovik 2014): luma rounded to integers and halved by 2 x 2 means, gradient
// magnitudes g by Prewitt's operators divided by 3 with zeros outside, and the standard deviation (n - 1) over all pixels of
//   (2 g1 g2 + T) / (g1^2 + g2^2 + T),   T = 170.
// Convention: pyiqa `archs/gmsd_arch.py`; an odd last row or column is left out.
#pragma once
#include "finpercep/metrics/luma.h"

namespace finpercep {

/// 0 for equal pictures, lower is better; below .5. Gray pictures are taken as they are. input_error when a side is below 4 pixels.
/// `threads` 0: all cores; the result is the same for any number.
double gmsd(const Image& sr, const Image& ref, int threads = 1);

}  // namespace finpercep
