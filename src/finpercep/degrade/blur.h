// SPDX-License-Identifier: Apache-2.0
// Blur kernels of the second-order degradation (Real-ESRGAN, section 3.1; generalized and plateau Gaussians after Liu et al. 2020),
// filtering, and the unsharp mask that Real-ESRGAN puts on the clean photograph.
#pragma once
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

enum class KernelKind { iso, aniso, generalized_iso, generalized_aniso, plateau_iso, plateau_aniso, sinc };

/// Everything that defines a kernel. With q = d' S^-1 d, S = R diag(sigma_x^2, sigma_y^2) R': Gaussian exp(-q/2), generalized
/// exp(-q^beta / 2), plateau 1 / (1 + q^beta). Iso kinds use sigma_x alone. Sinc: the ideal circular low pass w J1(w r) / (2 pi r).
struct KernelSpec {
  KernelKind kind = KernelKind::iso;
  int size = 21;  ///< odd
  double sigma_x = 1, sigma_y = 1;
  double rotation = 0;  ///< radians
  double beta = 1;
  double omega = 3.14159265358979;  ///< sinc only: cutoff, radians a pixel
};

/// Weights of sum 1, row by row.
struct Kernel {
  int size = 1;
  std::vector<float> weights = {1.0f};
  std::vector<float> row;  ///< when not empty, weights = row' row and two one-dimensional passes give the same
};

Kernel make_kernel(const KernelSpec& spec);
/// Gaussian of sum 1 sampled at size (odd) integers.
std::vector<float> gaussian_row(int size, double sigma);

/// Correlation; the border is mirrored without repeating the edge pixel (reflect-101). Any odd size, any image size.
Image filter2d(const Image& image, const Kernel& kernel);
Image filter_separable(const Image& image, const std::vector<float>& row);
/// By a Gaussian of this standard deviation, pixels, cut at three of them.
Image blur_by(const Image& image, double sigma);

/// USM of Real-ESRGAN: 51 x 51 Gaussian of sigma 8.0; img + 0.5 (img - blur), clipped, is taken where |img - blur| > 10 / 255, by a mask
/// softened with the same Gaussian.
Image unsharp_mask(const Image& image);

}  // namespace finpercep
