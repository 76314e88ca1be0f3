// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/profile.h"

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

// iCCP: a name, 0, a byte of method, and the profile as a zlib stream. It stands before the picture data.
Bytes png_profile(std::span<const std::byte> bytes) {
  constexpr uLongf most = 4 << 20;
  auto rest = bytes.subspan(codec::png_chunks);
  for (auto chunk = codec::next_png_chunk(rest); chunk && chunk->type != "IDAT"; chunk = codec::next_png_chunk(rest)) {
    if (chunk->type != "iCCP") continue;
    const auto name_end = std::ranges::find(chunk->data, std::byte{0});
    const auto packed = chunk->data.subspan(std::min<std::size_t>(chunk->data.size(), name_end - chunk->data.begin() + 2));
    Bytes profile(most);
    uLongf size = most;
    if (uncompress(reinterpret_cast<Bytef*>(profile.data()), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()) != Z_OK)
      return {};
    profile.resize(size);
    return profile;
  }
  return {};
}

// Cut into segments APP2, which say which part of how many they are.
Bytes jpeg_profile(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  constexpr auto mark = "ICC_PROFILE\0"sv;
  std::map<unsigned, std::span<const std::byte>> parts;
  unsigned count = 0;
  auto rest = bytes.subspan(codec::jpeg_segments);
  for (auto segment = codec::next_jpeg_segment(rest); segment; segment = codec::next_jpeg_segment(rest)) {
    const auto& [marker, data] = *segment;
    if (marker != 0xE2 || data.size() < mark.size() + 2 || !codec::starts_with(data, mark)) continue;
    parts[big_endian(data, mark.size(), 1)] = data.subspan(mark.size() + 2);
    count = big_endian(data, mark.size() + 1, 1);
  }
  if (count == 0 || parts.size() != count || parts.begin()->first != 1 || parts.rbegin()->first != count) return {};
  Bytes profile;
  for (const auto& [number, part] : parts) profile.insert(profile.end(), part.begin(), part.end());
  return profile;
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

Bytes any_profile(std::span<const std::byte> bytes) {
  switch (codec::format_of(bytes)) {
    case codec::Format::png:
      return png_profile(bytes);
    case codec::Format::jpeg:
      return jpeg_profile(bytes);
    case codec::Format::webp:
      return webp_profile(bytes);
    case codec::Format::tiff:
      return codec::tiff_profile(bytes);
    case codec::Format::bmp:
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

std::vector<std::byte> colour_profile(std::span<const std::byte> bytes) {
  Bytes profile = any_profile(bytes);
  return is_of_rgb(profile) ? profile : Bytes();
}

}  // namespace finpercep
