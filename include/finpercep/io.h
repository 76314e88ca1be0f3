// SPDX-License-Identifier: Apache-2.0
// Pictures from and to files. What a file is, is decided by its first bytes, never by its name.
#pragma once
#include <cstdint>
#include <filesystem>

#include "finpercep/error.h"
#include "finpercep/image.h"

namespace finpercep {

/// Limits against decompression bombs; checked on the header, before any allocation.
struct ReadLimits {
  int64_t max_pixels = 178'956'970;  ///< Pillow's error limit (179 MP)
  int max_side = 65'535;
};

/// PNG, JPEG, WebP, TIFF or BMP of 8 or 16 bits as RGB in [0,1]: gray is repeated, alpha is dropped (as PIL convert("RGB")),
/// EXIF orientation is applied, CMYK/YCCK JPEG is converted. 16 bits become v / 65535. Colour profiles are not applied: numbers are read as
/// sRGB's (`upscale` hands the profile on). Of an animation (APNG, WebP) or a TIFF of several pages the first picture is taken. A truncated
/// or corrupt file is an Error of code `input`, never a half-gray picture.
Image read_image(const std::filesystem::path& path, const ReadLimits& limits = {});

/// Format by the name's ending (.png, .jpg/.jpeg, .webp); values are clamped and rounded to 8 bits. 1 or 3 channels. Atomic.
/// JPEG quality 95 4:4:4 by default; WebP is lossless and always of three channels.
void write_image(const std::filesystem::path& path, const Image& image);

}  // namespace finpercep
