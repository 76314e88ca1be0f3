// SPDX-License-Identifier: Apache-2.0
// JPEG as arithmetic on tensors (DiffJPEG; Shin & Song, "JPEG-resistant adversarial images", 2017): the degradation's where its setting
// `jpeg` is diff, as in Real-ESRGAN's own training. Otherwise it is libjpeg, which is what made the pictures that people see.
#pragma once
#include <torch/types.h>

namespace finpercep {

/// N x 3 x H x W in [0,1]; `quality` holds N real numbers from 1 to 100. BT.601 YCbCr, chroma by 2 x 2 means and back by repetition, 8 x 8
/// DCT, the tables of the JPEG standard's annex K scaled as libjpeg does. The picture is padded with its edge to multiples of 16, as codecs
/// do. Clamped to [0,1], not rounded to 8 bits. No gradient.
at::Tensor diff_jpeg(const at::Tensor& images, const at::Tensor& quality);

}  // namespace finpercep
