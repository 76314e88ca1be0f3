// SPDX-License-Identifier: Apache-2.0
// Statistics of natural scenes, on which NIQE and BRISQUE rest: contrast-normalised luma and the fits of generalised Gaussians to it and to
// products of neighbours (Mittal, Moorthy & Bovik 2012; the moment fit: Lasmar, Stitou & Berthoumieu 2009).
#pragma once
#include <array>
#include <cstddef>
#include <vector>

namespace finpercep {

/// The 7 x 7 Gaussian (sigma 7/6) of the local mean. Where a picture is flat, only the sum of the window decides what is left of it, and
/// then the score; hence it is a setting and not 1.
struct LocalWindow {
  std::array<double, 7> weights{};  ///< of one direction
  /// Sum 1 to rounding.
  static LocalWindow exact();
  /// The sum that the 49 products have when each is rounded to float32.
  static LocalWindow of_float32();
};

/// (x - mean) / (deviation + 1) on the scale 0..255: mean and deviation sqrt(|mean of squares - squared mean|) over the window, in float64.
/// `threads` 0: all cores; the result is the same for any number.
std::vector<double> contrast_normalised(const std::vector<double>& plane, int width, int height, const LocalWindow& window, int threads);
/// The same in float32 from the window's 49 float32 products, added up row by row with fused multiply-add as torch's convolution does it,
/// zeros beyond the border: where a picture is flat, the rounding is all that is left, and BRISQUE of such a picture moves by 10 %.
std::vector<float> contrast_normalised(const std::vector<float>& plane, int width, int height, int threads);

/// Moments of a set of values, by their sign.
struct SignedMoments {
  double left = 0, right = 0;              ///< sums of squares of values below and above 0
  double left_count = 0, right_count = 0;  ///< how many these are
  double magnitude = 0;                    ///< sum of |x|
  double count = 0;                        ///< of all values, zeros as well
  void add(const SignedMoments& other);
};

/// A rectangle of a plane, `stride` values from row to row.
template <class T>
struct Block {
  const T* values;
  std::size_t stride;
  int width, height;
};

/// Of row `y` of the block; the two together as sums over rows.
template <class T>
SignedMoments moments_of_row(const Block<T>& block, int y);
/// Of x(y, x) * x(y - dy, x - dx) for row `y`, indices taken round the block; |dy|, |dx| <= 1.
template <class T>
SignedMoments moments_of_products(const Block<T>& block, int y, int dy, int dx);

/// Shape of a generalised Gaussian of zero mean: .2 to 10 in steps of .001.
double gaussian_shape(const SignedMoments& moments);

struct AsymmetricFit {
  double shape = 0;
  double left = 0, right = 0;              ///< standard deviations of the two sides
  double left_scale = 0, right_scale = 0;  ///< standard deviation times sqrt(Gamma(1/shape) / Gamma(3/shape))
  double mean = 0;                         ///< (right_scale - left_scale) Gamma(2/shape) / Gamma(1/shape)
};
/// NaN where one side is empty.
AsymmetricFit asymmetric_fit(const SignedMoments& moments);

}  // namespace finpercep
