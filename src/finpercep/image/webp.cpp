// SPDX-License-Identifier: Apache-2.0
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

#include <cstring>
#include <memory>
#include <new>

#include <fmt/format.h>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {
namespace {

constexpr char kFormat[] = "WebP";

const char* reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a feature that is not supported";
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "the file is cut";
    default:
      return "damaged picture data";
  }
}

int orientation_of(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk = {};
  int orientation = 1;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) != 0) {
    orientation = exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

// Of an animation the first frame, on its canvas; what it does not cover is black (PIL's convert("RGB") of a transparent canvas).
Decoded decode_webp(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits) {
  const WebPData data = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data), &WebPDemuxDelete);
  if (demuxer == nullptr) throw corrupt_error(kFormat, where, "the file is cut or damaged");
  const int64_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const int64_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  check_size(kFormat, width, height, where, limits);

  WebPIterator frame = {};
  const bool has_frame = WebPDemuxGetFrame(demuxer.get(), 1, &frame) != 0;
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&frame, &WebPDemuxReleaseIterator);
  if (!has_frame || frame.complete == 0) throw corrupt_error(kFormat, where, "no whole picture");
  if (frame.x_offset < 0 || frame.y_offset < 0 || frame.width < 1 || frame.height < 1 || frame.x_offset + frame.width > width ||
      frame.y_offset + frame.height > height) {
    throw corrupt_error(kFormat, where, "a frame outside its canvas");
  }

  std::vector<uint8_t> pixels(static_cast<std::size_t>(width) * height * 3);
  const std::size_t stride = static_cast<std::size_t>(width) * 3;
  const std::size_t origin = frame.y_offset * stride + frame.x_offset * std::size_t{3};
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) throw corrupt_error(kFormat, where, "libwebp of another version");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels.data() + origin;
  config.output.u.RGBA.stride = static_cast<int>(stride);
  config.output.u.RGBA.size = pixels.size() - origin;
  const VP8StatusCode status = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status != VP8_STATUS_OK) throw corrupt_error(kFormat, where, reason(status));

  Decoded decoded{Image(static_cast<int>(width), static_cast<int>(height)), orientation_of(demuxer.get())};
  for (int y = 0; y < height; ++y) fill_row(decoded.image, y, pixels.data() + y * stride, 3);
  return decoded;
}

}  // namespace finpercep::codec

namespace finpercep {

std::vector<std::byte> encode_webp_lossless(const Image& image) {
  using namespace codec;
  check_writable(kFormat, image, WEBP_MAX_DIMENSION);
  std::vector<uint8_t> pixels(image.plane_size() * 3);
  for (int y = 0; y < image.height; ++y) {
    uint8_t* row = pixels.data() + static_cast<std::size_t>(y) * image.width * 3;
    pack_row(image, y, row);
    if (image.channels == 1) {
      for (int x = image.width - 1; x >= 0; --x) row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = row[x];
    }
  }
  WebPConfig config;
  WebPPicture picture;
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  const std::unique_ptr<WebPMemoryWriter, decltype(&WebPMemoryWriterClear)> clear(&writer, &WebPMemoryWriterClear);
  // Level 2 of 9: higher ones take many times as long for two or three per cent.
  if (WebPConfigInit(&config) == 0 || WebPConfigLosslessPreset(&config, 2) == 0 || WebPPictureInit(&picture) == 0) {
    throw input_error("write WebP: libwebp of another version");
  }
  const std::unique_ptr<WebPPicture, decltype(&WebPPictureFree)> free_picture(&picture, &WebPPictureFree);
  config.exact = 1;
  picture.use_argb = 1;
  picture.width = image.width;
  picture.height = image.height;
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  if (WebPPictureImportRGB(&picture, pixels.data(), image.width * 3) == 0 || WebPEncode(&config, &picture) == 0) {
    if (picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY) throw std::bad_alloc();
    throw input_error(
        fmt::format("write WebP: {} x {}: libwebp error {}", image.width, image.height, static_cast<int>(picture.error_code)));
  }
  const auto* begin = reinterpret_cast<const std::byte*>(writer.mem);
  return {begin, begin + writer.size};
}

}  // namespace finpercep
