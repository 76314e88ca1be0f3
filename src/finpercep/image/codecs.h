// SPDX-License-Identifier: Apache-2.0
// Private to image/: one decoder and encoder a format, and what they share. A decoder gets the whole file in memory, checks the header
// against the limits before it allocates, and returns the complete first picture or throws input_error.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "finpercep/base/error.h"
#include "finpercep/image.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"

namespace finpercep::codec {

enum class Format { png, jpeg, webp, tiff, bmp, unknown };
/// What a file is, by its first bytes. A file that is cut may be of a format all the same.
Format format_of(std::span<const std::byte> bytes);
/// Whether `text` stands at byte `at`; false where the bytes end before.
bool starts_with(std::span<const std::byte> bytes, std::string_view text, std::size_t at = 0);
/// Of 1 to 4 bytes, which have to be there.
uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at, int count);

struct PngChunk {
  std::string_view type;  ///< of four letters
  std::span<const std::byte> data;
};
/// Takes the first chunk off `rest`, which at first is a PNG from byte png_chunks on; nothing at its end and where the chunk is cut. The
/// checksum is not looked at.
std::optional<PngChunk> next_png_chunk(std::span<const std::byte>& rest);
constexpr std::size_t png_chunks = 8, png_header_end = 33;  ///< where the chunks begin, and where the first, IHDR, ends

struct JpegSegment {
  unsigned marker;  ///< its second byte, 01 to FE
  std::span<const std::byte> data;
};
/// Takes the first segment off `rest`, which at first is a JPEG from byte jpeg_segments on; nothing where the scans begin, at the end and
/// where the segment is cut.
std::optional<JpegSegment> next_jpeg_segment(std::span<const std::byte>& rest);
constexpr std::size_t jpeg_segments = 2;

struct Decoded {
  Image image;          ///< 1 or 3 channels, as stored: not yet turned upright
  int orientation = 1;  ///< EXIF 1..8
};

/// What a sample becomes: v / 255 or v / 65535, or, for label pictures (gray or palette), the number v itself.
enum class Samples { unit, raw };

Decoded decode_png(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples);
Decoded decode_jpeg(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits);
Decoded decode_webp(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits);
Decoded decode_bmp(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits);
Decoded decode_tiff(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples);

PictureInfo probe_bmp(std::span<const std::byte> bytes);
PictureInfo probe_tiff(std::span<const std::byte> bytes);
/// Whatever it is of; empty: none.
std::vector<std::byte> tiff_profile(std::span<const std::byte> bytes);

/// The orientation tag of an EXIF block (a small TIFF, with or without the leading "Exif\0\0"); 1 when it is absent or makes no sense.
int exif_orientation(std::span<const std::byte> block);
/// Turns the picture upright; orientations 5 to 8 swap width and height.
Image apply_orientation(Image image, int orientation);

/// Throws input_error when a side is 0 or over the limits.
void check_size(const char* format, int64_t width, int64_t height, const std::string& where, const ReadLimits& limits);
Error corrupt_error(const char* format, const std::string& where, const std::string& why);

/// Interleaved samples -> row y of the planes. `step` is the number of samples a pixel has in `row`; surplus ones (alpha) are skipped.
void fill_row(Image& image, int y, const uint8_t* row, int step);
void fill_row(Image& image, int y, const uint16_t* row, int step);
/// Row y of the planes -> interleaved bytes: clamped, rounded (half to even, as NumPy); NaN becomes 0.
void pack_row(const Image& image, int y, uint8_t* row);
/// Throws usage_error unless the picture has 1 or 3 channels and 1 to `max_side` pixels a side.
void check_writable(const char* format, const Image& image, int max_side);

}  // namespace finpercep::codec
