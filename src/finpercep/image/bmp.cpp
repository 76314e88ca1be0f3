// SPDX-License-Identifier: Apache-2.0
// Windows bitmaps as IQA data sets (TID2013, LIVE) hold them: not compressed, 8 (palette), 24 or 32 bits a pixel.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {
namespace {

constexpr char kFormat[] = "BMP";
constexpr std::size_t file_header = 14, smallest_info = 40;

uint32_t little_endian(std::span<const std::byte> bytes, std::size_t at, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return value;
}

struct Header {
  uint32_t pixels_at, info, bits, compression, colours;
  int64_t width, height;  // a negative height: rows from the top down
};

Header header_of(std::span<const std::byte> bytes) {
  return {little_endian(bytes, 10, 4),
          little_endian(bytes, 14, 4),
          little_endian(bytes, 28, 2),
          little_endian(bytes, 30, 4),
          little_endian(bytes, 46, 4),
          static_cast<int32_t>(little_endian(bytes, 18, 4)),
          static_cast<int32_t>(little_endian(bytes, 22, 4))};
}

bool has_header(std::span<const std::byte> bytes) {
  return bytes.size() >= file_header + smallest_info && little_endian(bytes, 14, 4) >= smallest_info;
}

// Not compressed, or 32 bits whose masks are those of BGRX.
bool plain(const Header& header, std::span<const std::byte> bytes) {
  if (header.compression == 0) return header.bits == 8 || header.bits == 24 || header.bits == 32;
  return header.compression == 3 && header.bits == 32 && bytes.size() >= 66 && little_endian(bytes, 54, 4) == 0xFF0000 &&
         little_endian(bytes, 58, 4) == 0xFF00 && little_endian(bytes, 62, 4) == 0xFF;
}

}  // namespace

PictureInfo probe_bmp(std::span<const std::byte> bytes) {
  if (!has_header(bytes)) return {};
  const Header header = header_of(bytes);
  if (header.width < 1) return {};
  const bool alpha = header.bits == 32 && header.info >= 56 && bytes.size() >= 70 && little_endian(bytes, 66, 4) != 0;
  return {header.width, std::abs(header.height), 8, alpha};
}

Decoded decode_bmp(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits) {
  if (!has_header(bytes)) throw corrupt_error(kFormat, where, "a file that is cut, or a header of OS/2");
  const Header header = header_of(bytes);
  const int64_t height = std::abs(header.height);
  check_size(kFormat, header.width, height, where, limits);
  if (!plain(header, bytes))
    throw corrupt_error(kFormat, where, fmt::format("{} bits a pixel, compression {}, which is not read", header.bits, header.compression));
  const auto stride = static_cast<std::size_t>((header.width * header.bits + 31) / 32 * 4);
  if (header.pixels_at > bytes.size() || stride * height > bytes.size() - header.pixels_at)
    throw corrupt_error(kFormat, where, "a file that is cut");

  std::vector<std::array<uint8_t, 3>> palette;
  if (header.bits == 8) {
    const std::size_t at = file_header + header.info, colours = header.colours == 0 ? 256 : header.colours;
    if (colours > 256 || at > bytes.size() || 4 * colours > bytes.size() - at) throw corrupt_error(kFormat, where, "a broken palette");
    for (std::size_t i = 0; i < colours; ++i) {
      const auto* bgr = reinterpret_cast<const uint8_t*>(bytes.data()) + at + 4 * i;
      palette.push_back({bgr[2], bgr[1], bgr[0]});
    }
  }
  Decoded decoded{Image(static_cast<int>(header.width), static_cast<int>(height)), 1};
  std::vector<uint8_t> row(static_cast<std::size_t>(header.width) * 3);
  for (int64_t y = 0; y < height; ++y) {
    const int64_t stored = header.height < 0 ? y : height - 1 - y;
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data()) + header.pixels_at + stored * stride;
    for (int64_t x = 0; x < header.width; ++x) {
      uint8_t* rgb = row.data() + 3 * x;
      if (header.bits == 8) {
        if (in[x] >= palette.size()) throw corrupt_error(kFormat, where, "a colour that its palette has not");
        std::ranges::copy(palette[in[x]], rgb);
      } else {
        const uint8_t* bgr = in + x * (header.bits / 8);
        rgb[0] = bgr[2];
        rgb[1] = bgr[1];
        rgb[2] = bgr[0];
      }
    }
    fill_row(decoded.image, static_cast<int>(y), row.data(), 3);
  }
  return decoded;
}

}  // namespace finpercep::codec
