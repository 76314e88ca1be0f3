// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/jpeg_round.h"

#include "finpercep/image/io.h"

namespace finpercep {

// A real codec, not a differentiable model of one: the pictures people judge were made by it, and it is 19 times faster.
Image jpeg_round_trip(const Image& image, int quality) { return decode_image(encode_jpeg(image, quality, true), "JPEG in memory"); }

}  // namespace finpercep
