// SPDX-License-Identifier: Apache-2.0
// What PSNR and SSIM compare. Half of all "my number differs from the paper" is this choice: Y-PSNR by YCbCr is exactly
// 20 log10(255/219) = 1.322 dB above Y-PSNR by YIQ.
#pragma once
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

enum class Channels {
  rgb,
  yiq,    ///< Y = .299 R + .587 G + .114 B, full range (pyiqa's default)
  ycbcr,  ///< Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255, studio range of BT.601 (MATLAB, BasicSR, StableSR's tables)
};

/// What is compared of a picture: its planes on the scale 0..255 without `crop_border` pixels at each side, row by row, so that no plane
/// of doubles need be held. `rounded` to integers (half to even) or not. Refers to the picture, which must outlive it.
class ComparedRows {
 public:
  /// A picture of 1 channel has three that are equal where a Y is asked for. input_error for 2, or where the border leaves nothing.
  ComparedRows(const Image& image, Channels channels, int crop_border, bool rounded);

  int width() const { return image_->width - 2 * crop_border_; }
  int height() const { return image_->height - 2 * crop_border_; }
  int planes() const { return channels_ == Channels::rgb ? image_->channels : 1; }
  /// Row `y` of plane `plane`: width() values.
  void read(int plane, int y, double* to) const;

 private:
  const Image* image_;
  Channels channels_;
  int crop_border_;
  bool rounded_;
};

/// input_error naming both sizes unless they are equal.
void require_same_size(const Image& sr, const Image& ref, const std::string& metric);

}  // namespace finpercep
