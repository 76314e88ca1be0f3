// SPDX-License-Identifier: Apache-2.0
// JPEG as arithmetic on tensors (DiffJPEG; Shin & Song, "JPEG-resistant adversarial images", 2017), for losses that look through a
// compression. The degradation itself uses libjpeg, which is what made the pictures that people see, unless its setting `jpeg` is diff.
#pragma once
#include <torch/types.h>

namespace finpercep {

enum class JpegRounding {
  nearest,  ///< no gradient
  soft,     ///< r + (x - r)^3 with r the nearest integer: within 1/8 of it, and differentiable
};

/// N x 3 x H x W in [0,1]; `quality` holds N real numbers from 1 to 100. BT.601 YCbCr, chroma by 2 x 2 means and back by repetition, 8 x 8
/// DCT, the tables of the JPEG standard's annex K scaled as libjpeg does. The picture is padded with its edge to multiples of 16, as codecs
/// do. Clamped to [0,1], not rounded.
at::Tensor diff_jpeg(const at::Tensor& images, const at::Tensor& quality, JpegRounding rounding = JpegRounding::soft);

}  // namespace finpercep
