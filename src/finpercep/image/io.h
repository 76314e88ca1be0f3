// SPDX-License-Identifier: Apache-2.0
// Reading and writing of pictures. What a file is, is decided by its first bytes, never by its name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// Limits against decompression bombs; checked on the header, before any allocation.
struct ReadLimits {
  int64_t max_pixels = 178'956'970;  ///< Pillow's error limit (179 MP)
  int max_side = 65'535;
};

/// PNG, JPEG, WebP, TIFF or BMP of 8 or 16 bits as RGB in [0,1]: gray is repeated, alpha is dropped (as PIL convert("RGB")),
/// EXIF orientation is applied, CMYK/YCCK JPEG is converted. 16 bits become v / 65535. Of an animation (APNG, WebP) or a TIFF of several
/// pages the first picture is taken. A truncated or corrupt file is an input_error, never a half-gray picture.
Image read_image(const std::filesystem::path& path, const ReadLimits& limits = {});
Image decode_image(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits = {});
/// A single-channel mask, map or label picture: gray value in [0,1] (colour is turned into BT.601 luma).
Image read_gray(const std::filesystem::path& path, const ReadLimits& limits = {});

/// Format by the name's ending (.png, .jpg/.jpeg, .webp); values are clamped and rounded to 8 bits. 1 or 3 channels. Atomic.
/// JPEG quality 95 4:4:4 by default; WebP is lossless and always of three channels.
void write_image(const std::filesystem::path& path, const Image& image);
std::vector<std::byte> encode_png(const Image& image);
std::vector<std::byte> encode_jpeg(const Image& image, int quality, bool subsample_420);
std::vector<std::byte> encode_webp_lossless(const Image& image);
/// A label picture (PNG or TIFF) without conversion: the gray values of up to 16 bits, or the palette's indices, as stored.
std::vector<uint16_t> read_labels(const std::filesystem::path& path, int& width, int& height);

/// NumPy .npy, float32, C order, shape (H, W) for one channel, (C, H, W) else. Atomic.
void write_npy(const std::filesystem::path& path, const Image& image);

/// Whether the name ends as a picture's does (.png .jpg .jpeg .webp .tif .tiff .bmp, any case) and is not hidden.
bool has_image_name(const std::filesystem::path& path);

/// Files named by a mix of files, directories (not recursive; what has_image_name says), globs (* and
/// ?), and lists (LIST.txt, @LIST, - for stdin; one path a line, relative to the current directory, # begins a remark); sorted within each
/// directory or glob. input_error for a path that does not exist or yields no image. A file named itself is taken whatever its name: what
/// it is, its content decides.
std::vector<std::filesystem::path> list_images(const std::vector<std::string>& inputs);

}  // namespace finpercep
