// SPDX-License-Identifier: Apache-2.0
// Sensor noise of the second-order degradation. Results are clipped to [0,1] and not rounded.
#pragma once
#include "finpercep/base/random.h"
#include "finpercep/image.h"

namespace finpercep {

/// Adds normal noise of standard deviation sigma / 255; gray: the same noise in all channels.
void add_gaussian_noise(Image& image, double sigma, bool gray, Random& random);

/// Adds scale * (Poisson(v * vals) / vals - v), where v is the picture rounded to 8 bits (its BT.601 luma when gray) and
/// vals = 2^ceil(log2(number of distinct 8-bit levels in v)).
void add_poisson_noise(Image& image, double scale, bool gray, Random& random);

}  // namespace finpercep
