// SPDX-License-Identifier: Apache-2.0
// Blind/referenceless image spatial quality evaluator (Mittal, Moorthy & Bovik 2012): 36 statistics of contrast-normalised luma at two
// scales into a support vector regression trained on LIVE. No reference; lower is better, about 0..100 (it may leave that range).
// Convention: pyiqa `archs/brisque_arch.py`: luma rounded to integers, float32 (which decides flat regions: 66.84 against 63.93 on one
// picture), zeros beyond the border, second scale by MATLAB's imresize.
#pragma once
#include <array>
#include <vector>

#include "finpercep/metrics/luma.h"

namespace finpercep {

struct Brisque {
  static constexpr int features = 36;
  std::vector<double> vectors, coefficients;  ///< support vectors (n x 36) and their coefficients
  double gamma = 0, rho = 0;

  /// The published regression. model_error with the command that fetches it when it is absent.
  static Brisque load();

  /// input_error when a side is below 16 pixels or the picture has no texture. `threads` 0: all cores; the result is the same for any
  /// number.
  double operator()(const Image& image, int threads = 1) const;
};

/// The statistics as they are, before scaling to the ranges seen in training.
std::array<double, Brisque::features> brisque_features(const Image& image, int threads = 1);

}  // namespace finpercep
