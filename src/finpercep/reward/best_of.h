// SPDX-License-Identifier: Apache-2.0
// The best parts of several samples of one picture, chosen by their Perceptual Degradation Maps. Best-of-N by a score takes or leaves a
// whole picture; a map can take the roof of one and the grass of another.
#pragma once
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// At every pixel the index of the sample whose smoothed map is lowest, the first of equals. Maps: one channel, equal sizes, at least one,
/// at most 65536.
std::vector<uint16_t> best_samples(const std::vector<Image>& maps);

/// Every sample where it is best, fading into its neighbours: sum_i w_i sample_i, w_i the feathered region of sample i, sum_i w_i = 1.
/// Where samples are identical the result is, bit for bit. Samples (any channels) and maps are of one size; samples in [0,1] give a result
/// in [0,1].
Image compose_best(const std::vector<Image>& samples, const std::vector<Image>& maps);

}  // namespace finpercep
