// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "finpercep/image.h"

namespace finpercep {

/// .299 R + .587 G + .114 B of a picture of 3 channels, as 1 channel; a picture of 1 channel as it is.
Image to_gray(const Image& picture);

}  // namespace finpercep
