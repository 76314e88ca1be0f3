// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "finpercep/image.h"

namespace finpercep {

/// The picture after JPEG (libjpeg-turbo, 4:2:0) at this quality, 1..100. Values are clamped and rounded to 8 bits on the way.
Image jpeg_round_trip(const Image& image, int quality);

}  // namespace finpercep
