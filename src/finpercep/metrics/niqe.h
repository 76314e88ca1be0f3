// SPDX-License-Identifier: Apache-2.0
// Natural image quality evaluator (Mittal, Soundararajan & Bovik 2013): distance of the Gaussian of 36 features over blocks of 96 x 96 from
// that of pristine pictures, sqrt((m1 - m2)' ((C1 + C2) / 2)^-1 (m1 - m2)). No reference; 0 is best, ~3 a good photograph.
// Conventions: pyiqa `archs/niqe_arch.py` (the window rounded to float32), BasicSR `metrics/niqe.py` (float64). Both round luma to integers
// and take the second scale by MATLAB's imresize in float32.
#pragma once
#include <torch/types.h>

#include "finpercep/metrics/luma.h"

namespace finpercep {

struct NiqeOptions {
  Channels channels = Channels::yiq;
  int crop_border = 0;
  bool float32_window = true;  ///< 15.654 against 15.668 on a picture with large flat regions
  int threads = 1;             ///< 0: all cores; the result is the same for any number
};

struct Niqe {
  at::Tensor mu, cov;  ///< 36 and 36 x 36, float64: features of pristine pictures

  /// The published parameters. model_error with the command that fetches them when they are absent.
  static Niqe load();

  /// Only whole blocks of 96 x 96 from the top left count. input_error when a side is below 96 pixels, or fewer than two blocks have any
  /// texture.
  double operator()(const Image& image, const NiqeOptions& options = {}) const;
};

/// The features: blocks x 36. What operator() fits.
at::Tensor niqe_features(const Image& image, const NiqeOptions& options = {});

}  // namespace finpercep
