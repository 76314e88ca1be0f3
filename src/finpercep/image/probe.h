// SPDX-License-Identifier: Apache-2.0
// What a picture's header says, without decoding it: enough to plan memory and to notice what decoding will drop.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace finpercep {

struct PictureInfo {
  int64_t width = 0, height = 0;  ///< as stored, before EXIF orientation; 0 where the header cannot be read
  int bits = 8;                   ///< of a sample
  bool alpha = false;
  int64_t pixels() const { return width > 0xFFFFFF || height > 0xFFFFFF ? INT64_MAX : width * height; }  ///< saturated
};

/// Never throws for bad bytes: it gives zeros, and decode_image says what is wrong.
PictureInfo probe_image(std::span<const std::byte> bytes);

}  // namespace finpercep
