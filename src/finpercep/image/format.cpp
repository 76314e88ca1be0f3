// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {

bool starts_with(std::span<const std::byte> bytes, std::string_view text, std::size_t at) {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return value;
}

Format format_of(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  if (starts_with(bytes, "\x89PNG\r\n\x1A\n"sv)) return Format::png;
  if (starts_with(bytes, "\xFF\xD8\xFF"sv)) return Format::jpeg;
  if (starts_with(bytes, "RIFF"sv) && starts_with(bytes, "WEBP"sv, 8)) return Format::webp;
  for (const std::string_view mark : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})  // + is BigTIFF
    if (starts_with(bytes, mark)) return Format::tiff;
  if (starts_with(bytes, "BM"sv)) return Format::bmp;
  return Format::unknown;
}

std::optional<PngChunk> next_png_chunk(std::span<const std::byte>& rest) {
  if (rest.size() < 12) return std::nullopt;
  const uint64_t length = big_endian(rest, 0, 4);
  if (length > rest.size() - 12) return std::nullopt;
  const PngChunk chunk{{reinterpret_cast<const char*>(rest.data()) + 4, 4}, rest.subspan(8, length)};
  rest = rest.subspan(12 + length);
  return chunk;
}

std::optional<JpegSegment> next_jpeg_segment(std::span<const std::byte>& rest) {
  while (rest.size() >= 4) {
    const unsigned marker = big_endian(rest, 1, 1);
    if (big_endian(rest, 0, 1) != 0xFF || marker == 0xFF) {  // stray bytes and padding, which libjpeg steps over too
      rest = rest.subspan(1);
      continue;
    }
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // marks without a length
      rest = rest.subspan(2);
      continue;
    }
    const std::size_t length = big_endian(rest, 2, 2);
    if (marker == 0xD9 || marker == 0xDA || length < 2 || length > rest.size() - 2) return std::nullopt;
    const JpegSegment segment{marker, rest.subspan(4, length - 2)};
    rest = rest.subspan(2 + length);
    return segment;
  }
  return std::nullopt;
}

}  // namespace finpercep::codec
