// SPDX-License-Identifier: Apache-2.0
// Reading and writing of pictures, beyond what the public header has.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "finpercep/io.h"

namespace finpercep {

/// As read_image; `where` names the picture in messages.
Image decode_image(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits = {});
/// A single-channel mask, map or label picture: gray value in [0,1] (colour is turned into BT.601 luma).
Image read_gray(const std::filesystem::path& path, const ReadLimits& limits = {});

/// What write_image writes, and more. 1 or 3 channels. `profile`: an ICC profile of the picture's numbers (profile.h), or none.
std::vector<std::byte> encode_png(const Image& image, std::span<const std::byte> profile = {});
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
