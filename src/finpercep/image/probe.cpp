// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/probe.h"

#include <webp/decode.h>
#include <webp/demux.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <memory>

#include "finpercep/image/codecs.h"

namespace finpercep {
namespace {

using codec::big_endian;

using Bytes = std::vector<std::byte>;

// iCCP: a name, 0, a byte of method, and the profile as a zlib stream.
Bytes png_profile(std::span<const std::byte> data) {
  constexpr uLongf most = 4 << 20;
  const auto name_end = std::ranges::find(data, std::byte{0});
  const auto packed = data.subspan(std::min<std::size_t>(data.size(), name_end - data.begin() + 2));
  Bytes profile(most);
  uLongf size = most;
  if (uncompress(reinterpret_cast<Bytef*>(profile.data()), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()) != Z_OK)
    return {};
  profile.resize(size);
  return profile;
}

PictureInfo probe_png(std::span<const std::byte> bytes) {
  if (bytes.size() < codec::png_header_end || !codec::starts_with(bytes, "IHDR", 12)) return {};
  const unsigned colour = big_endian(bytes, 25, 1);
  PictureInfo info{big_endian(bytes, 16, 4), big_endian(bytes, 20, 4), colour == 3 ? 8 : static_cast<int>(big_endian(bytes, 24, 1)),
                   colour == 4 || colour == 6};  // a palette's colours have 8 bits
  auto rest = bytes.subspan(codec::png_chunks);
  // Transparency and profile stand before the picture data.
  for (auto chunk = codec::next_png_chunk(rest); chunk && chunk->type != "IDAT"; chunk = codec::next_png_chunk(rest)) {
    info.alpha = info.alpha || chunk->type == "tRNS";
    if (chunk->type == "iCCP") info.profile = png_profile(chunk->data);
  }
  return info;
}

// A frame header is a marker C0..CF that is not one of DHT, JPG and DAC. A profile is cut into segments APP2, which say which part of how
// many they are.
PictureInfo probe_jpeg(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  constexpr auto mark = "ICC_PROFILE\0"sv;
  PictureInfo info;
  std::map<unsigned, std::span<const std::byte>> parts;
  unsigned count = 0;
  auto rest = bytes.subspan(codec::jpeg_segments);
  for (auto segment = codec::next_jpeg_segment(rest); segment; segment = codec::next_jpeg_segment(rest)) {
    const auto& [marker, data] = *segment;
    if (marker == 0xE2 && data.size() >= mark.size() + 2 && codec::starts_with(data, mark)) {
      parts[big_endian(data, mark.size(), 1)] = data.subspan(mark.size() + 2);
      count = big_endian(data, mark.size() + 1, 1);
    }
    if (info.width == 0 && marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC && data.size() >= 5) {
      info.bits = static_cast<int>(big_endian(data, 0, 1));
      info.height = big_endian(data, 1, 2);
      info.width = big_endian(data, 3, 2);
    }
  }
  if (count > 0 && parts.size() == count && parts.begin()->first == 1 && parts.rbegin()->first == count)
    for (const auto& [number, part] : parts) info.profile.insert(info.profile.end(), part.begin(), part.end());
  return info;
}

Bytes webp_profile(std::span<const std::byte> bytes) {
  const WebPData data = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data), &WebPDemuxDelete);
  if (demuxer == nullptr) return {};
  WebPChunkIterator chunk = {};
  Bytes profile;
  if (WebPDemuxGetChunk(demuxer.get(), "ICCP", 1, &chunk) != 0) {
    const auto found = std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size));
    profile.assign(found.begin(), found.end());
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return profile;
}

PictureInfo probe_webp(std::span<const std::byte> bytes) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &features) != VP8_STATUS_OK) return {};
  return {features.width, features.height, 8, features.has_alpha != 0, webp_profile(bytes)};
}

PictureInfo probe_any(std::span<const std::byte> bytes) {
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

// ICC.1:2022, 7.2: the length first, the colour space at 16, the signature at 36.
bool is_of_rgb(const Bytes& profile) {
  constexpr std::size_t header = 128;
  return profile.size() >= header && big_endian(profile, 0, 4) == profile.size() && codec::starts_with(profile, "RGB ", 16) &&
         codec::starts_with(profile, "acsp", 36);
}

}  // namespace

PictureInfo probe_image(std::span<const std::byte> bytes) {
  PictureInfo info = probe_any(bytes);
  if (!is_of_rgb(info.profile)) info.profile.clear();
  return info;
}

}  // namespace finpercep
