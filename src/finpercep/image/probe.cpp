// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/probe.h"

#include <webp/decode.h>

#include <cstring>
#include <string_view>

#include "finpercep/image/codecs.h"

namespace finpercep {
namespace {

bool holds(std::span<const std::byte> bytes, std::string_view text, std::size_t at = 0) {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return value;
}

PictureInfo probe_png(std::span<const std::byte> bytes) {
  if (bytes.size() < 33 || !holds(bytes, "IHDR", 12)) return {};
  const unsigned colour = big_endian(bytes, 25, 1);
  PictureInfo info{big_endian(bytes, 16, 4), big_endian(bytes, 20, 4), colour == 3 ? 8 : static_cast<int>(big_endian(bytes, 24, 1)),
                   colour == 4 || colour == 6};                                           // a palette's colours have 8 bits
  for (std::size_t at = 33; at + 12 <= bytes.size() && !holds(bytes, "IDAT", at + 4);) {  // transparency stands before the picture data
    info.alpha = info.alpha || holds(bytes, "tRNS", at + 4);
    const uint64_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    at += 12 + length;
  }
  return info;
}

// A frame header is a marker C0..CF that is not one of DHT, JPG and DAC.
PictureInfo probe_jpeg(std::span<const std::byte> bytes) {
  for (std::size_t at = 2; at + 9 <= bytes.size();) {
    const unsigned marker = big_endian(bytes, at + 1, 1);
    if (big_endian(bytes, at, 1) != 0xFF || marker == 0xFF) {  // stray bytes and padding, which libjpeg steps over too
      ++at;
      continue;
    }
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // marks without a length
      at += 2;
      continue;
    }
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
      return {big_endian(bytes, at + 7, 2), big_endian(bytes, at + 5, 2), static_cast<int>(big_endian(bytes, at + 4, 1)), false};
    if (marker == 0xD9 || marker == 0xDA) return {};
    at += 2 + big_endian(bytes, at + 2, 2);
  }
  return {};
}

PictureInfo probe_webp(std::span<const std::byte> bytes) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &features) != VP8_STATUS_OK) return {};
  return {features.width, features.height, 8, features.has_alpha != 0};
}

}  // namespace

PictureInfo probe_image(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  if (holds(bytes, "\x89PNG\r\n\x1A\n"sv)) return probe_png(bytes);
  if (holds(bytes, "\xFF\xD8\xFF"sv)) return probe_jpeg(bytes);
  if (holds(bytes, "RIFF"sv) && holds(bytes, "WEBP"sv, 8)) return probe_webp(bytes);
  if (holds(bytes, "II"sv) || holds(bytes, "MM"sv)) return codec::probe_tiff(bytes);
  if (holds(bytes, "BM"sv)) return codec::probe_bmp(bytes);
  return {};
}

}  // namespace finpercep
