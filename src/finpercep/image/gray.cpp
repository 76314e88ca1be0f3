// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/gray.h"

namespace finpercep {

Image to_gray(const Image& picture) {
  if (picture.channels == 1) return picture;
  Image gray(picture.width, picture.height, 1);
  const float *r = picture.plane(0), *g = picture.plane(1), *b = picture.plane(2);
  for (std::size_t i = 0; i < gray.data.size(); ++i) {
    // gray stored as colour (WebP has no other way) comes back without rounding
    gray.data[i] = r[i] == g[i] && g[i] == b[i] ? r[i] : 0.299f * r[i] + 0.587f * g[i] + 0.114f * b[i];
  }
  return gray;
}

}  // namespace finpercep
