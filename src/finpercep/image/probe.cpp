// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/probe.h"

#include <webp/decode.h>

#include "finpercep/image/codecs.h"

namespace finpercep {
namespace {

using codec::big_endian;

PictureInfo probe_png(std::span<const std::byte> bytes) {
  if (bytes.size() < codec::png_header_end || !codec::starts_with(bytes, "IHDR", 12)) return {};
  const unsigned colour = big_endian(bytes, 25, 1);
  PictureInfo info{big_endian(bytes, 16, 4), big_endian(bytes, 20, 4), colour == 3 ? 8 : static_cast<int>(big_endian(bytes, 24, 1)),
                   colour == 4 || colour == 6};  // a palette's colours have 8 bits
  auto rest = bytes.subspan(codec::png_chunks);
  for (auto chunk = codec::next_png_chunk(rest); chunk && chunk->type != "IDAT"; chunk = codec::next_png_chunk(rest))
    info.alpha = info.alpha || chunk->type == "tRNS";  // transparency stands before the picture data
  return info;
}

// A frame header is a marker C0..CF that is not one of DHT, JPG and DAC.
PictureInfo probe_jpeg(std::span<const std::byte> bytes) {
  auto rest = bytes.subspan(codec::jpeg_segments);
  for (auto segment = codec::next_jpeg_segment(rest); segment; segment = codec::next_jpeg_segment(rest)) {
    const auto& [marker, data] = *segment;
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC && data.size() >= 5)
      return {big_endian(data, 3, 2), big_endian(data, 1, 2), static_cast<int>(big_endian(data, 0, 1)), false};
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
  switch (codec::format_of(bytes)) {
    case codec::Format::png:
      return probe_png(bytes);
    case codec::Format::jpeg:
      return probe_jpeg(bytes);
    case codec::Format::webp:
      return probe_webp(bytes);
    case codec::Format::tiff:
      return codec::probe_tiff(bytes);
    case codec::Format::bmp:
      return codec::probe_bmp(bytes);
    case codec::Format::unknown:
      break;
  }
  return {};
}

}  // namespace finpercep
