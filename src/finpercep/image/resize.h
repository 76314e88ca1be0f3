// SPDX-License-Identifier: Apache-2.0
// Resizing with the conventions that the field's numbers depend on.
#pragma once
#include "finpercep/image.h"

namespace finpercep {

enum class Resize {
  nearest,
  area,            ///< torch F.interpolate(mode="area"): adaptive average
  bilinear,        ///< torch F.interpolate(bilinear, align_corners=False, antialias=False)
  bicubic,         ///< torch F.interpolate(bicubic, a=-0.75, align_corners=False, antialias=False)
  bicubic_aa,      ///< torch antialias=True and PIL BICUBIC (a=-0.5, kernel widened when shrinking); float, not rounded
  bicubic_matlab,  ///< MATLAB imresize bicubic (a=-0.5, antialias when shrinking, symmetric borders)
};

/// Result values are not clamped (bicubic overshoots).
Image resize(const Image& image, int width, int height, Resize method);
/// MATLAB and torch define the sampling grid by the scale where it is given, not by the size ratio: out = ceil(size * scale) for
/// bicubic_matlab, floor(size * scale) else.
Image resize_by(const Image& image, double scale, Resize method);
/// Shrunk by `factor`, to a pixel at least, and grown to the size that it had.
Image down_up(const Image& image, double factor, Resize down, Resize up);

Image crop(const Image& image, int x, int y, int width, int height);
Image flip_horizontal(const Image& image);
void clamp_unit(Image& image);      ///< to [0,1], in place
void round_to_bytes(Image& image);  ///< to the 256 values that a file of 8 bits holds, in place
Image rounded_to_bytes(Image image);

}  // namespace finpercep
