// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/io.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/text.h"
#include "finpercep/image/codecs.h"
#include "finpercep/image/gray.h"

namespace finpercep {
namespace codec {

void check_size(const char* format, int64_t width, int64_t height, const std::string& where, const ReadLimits& limits) {
  if (width < 1 || height < 1) throw corrupt_error(format, where, fmt::format("a picture of {} x {}", width, height));
  if (width > limits.max_side || height > limits.max_side || width * height > limits.max_pixels) {
    throw input_error(fmt::format("read {}: {}: expected at most {} pixels and {} a side, found {} x {}. make it smaller or cut it up",
                                  format, where, limits.max_pixels, limits.max_side, width, height));
  }
}

Error corrupt_error(const char* format, const std::string& where, const std::string& why) {
  return input_error(fmt::format("read {}: {}: expected a whole, sound picture, found {}. get the file again or save it anew", format,
                                 where, why.empty() ? "damaged data" : why));
}

void fill_row(Image& image, int y, const uint8_t* row, int step) {
  for (int c = 0; c < image.channels; ++c) {
    float* __restrict out = image.plane(c) + static_cast<std::size_t>(y) * image.width;
    const uint8_t* __restrict in = row + c;
    // A constant step lets the loop run on vectors.
    if (step == 3)
      for (int x = 0; x < image.width; ++x) out[x] = static_cast<float>(in[3 * x]) / 255.0f;
    else
      for (int x = 0; x < image.width; ++x) out[x] = static_cast<float>(in[static_cast<std::size_t>(x) * step]) / 255.0f;
  }
}

void fill_row(Image& image, int y, const uint16_t* row, int step) {
  for (int c = 0; c < image.channels; ++c) {
    float* out = image.plane(c) + static_cast<std::size_t>(y) * image.width;
    const uint16_t* in = row + c;
    for (int x = 0; x < image.width; ++x) out[x] = static_cast<float>(in[static_cast<std::size_t>(x) * step]) / 65535.0f;
  }
}

namespace {

template <int channels>
void pack(const Image& image, int y, uint8_t* __restrict row) {
  const int width = image.width;
  for (int c = 0; c < channels; ++c) {
    const float* __restrict in = image.plane(c) + static_cast<std::size_t>(y) * width;
    for (int x = 0; x < width; ++x) {
      const float value = in[x] > 0.0f ? (in[x] < 1.0f ? in[x] : 1.0f) : 0.0f;  // NaN fails the first comparison
      // 2^23 has no room for a fraction: adding it rounds, half to even.
      const float rounded = value * 255.0f + 0x1p23f;
      row[channels * x + c] = static_cast<uint8_t>(std::bit_cast<uint32_t>(rounded));
    }
  }
}

}  // namespace

void pack_row(const Image& image, int y, uint8_t* row) {
  if (image.channels == 3) pack<3>(image, y, row);
  else pack<1>(image, y, row);
}

void check_writable(const char* format, const Image& image, int max_side) {
  if (image.channels != 1 && image.channels != 3) {
    throw usage_error(fmt::format("write {}: expected 1 or 3 channels, found {}", format, image.channels));
  }
  if (image.width < 1 || image.height < 1 || image.width > max_side || image.height > max_side) {
    throw usage_error(fmt::format("write {}: expected 1 to {} pixels a side, found {} x {}. write .png or a smaller picture", format,
                                  max_side, image.width, image.height));
  }
  if (image.data.size() != image.plane_size() * image.channels)
    throw usage_error(fmt::format("write {}: expected {} values of {} x {} pixels, found {}", format, image.plane_size() * image.channels,
                                  image.width, image.height, image.data.size()));
}

namespace {

Error unknown_format(std::span<const std::byte> bytes, const std::string& where) {
  const char* found = "something else";
  if (bytes.empty()) found = "an empty file";
  else if (starts_with(bytes, "GIF8")) found = "GIF";
  else if (starts_with(bytes, "ftypavif", 4)) found = "AVIF";
  else if (starts_with(bytes, "ftyphei", 4) || starts_with(bytes, "ftypmif1", 4)) found = "HEIC";
  else if (starts_with(bytes, "\xFF\x0A") || starts_with(bytes, "JXL ", 4)) found = "JPEG XL";
  else if (starts_with(bytes, "8BPS")) found = "PSD";
  else if (starts_with(bytes, "\x93NUMPY")) found = "a NumPy file";
  else if (starts_with(bytes, "<svg") || starts_with(bytes, "<?xml")) found = "SVG or XML";
  else if (starts_with(bytes, "%PDF")) found = "PDF";
  else if (starts_with(bytes, "version https://git-lfs")) found = "a Git LFS pointer (run git lfs pull)";
  else if (starts_with(bytes, "<!DOCTYPE") || starts_with(bytes, "<html")) found = "a web page";
  return input_error(
      fmt::format("read image: {}: expected PNG, JPEG, WebP, TIFF or BMP, found {}. convert it or correct the path", where, found));
}

Decoded decode_any(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples) {
  const auto no_labels = [&](const char* found) {
    return input_error(fmt::format("read labels: {}: expected a PNG or TIFF, found {}. save the labels as PNG", where, found));
  };
  const bool raw = samples == Samples::raw;
  switch (format_of(bytes)) {
    case Format::png:
      return decode_png(bytes, where, limits, samples);
    case Format::tiff:
      return decode_tiff(bytes, where, limits, samples);
    case Format::jpeg:
      if (raw) throw no_labels("JPEG");
      return decode_jpeg(bytes, where, limits);
    case Format::webp:
      if (raw) throw no_labels("WebP");
      return decode_webp(bytes, where, limits);
    case Format::bmp:
      if (raw) throw no_labels("BMP");
      return decode_bmp(bytes, where, limits);
    case Format::unknown:
      break;
  }
  throw unknown_format(bytes, where);
}

/// As stored, 1 or 3 channels, upright.
Image decode_upright(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples) {
  Decoded decoded = decode_any(bytes, where, limits, samples);
  return apply_orientation(std::move(decoded.image), decoded.orientation);
}

}  // namespace
}  // namespace codec

Image decode_image(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits) {
  Image image = codec::decode_upright(bytes, where, limits, codec::Samples::unit);
  if (image.channels == 1) {
    const std::size_t plane = image.plane_size();
    image.channels = 3;
    image.data.resize(plane * 3);
    std::memcpy(image.plane(1), image.plane(0), plane * sizeof(float));
    std::memcpy(image.plane(2), image.plane(0), plane * sizeof(float));
  }
  return image;
}

Image read_image(const std::filesystem::path& path, const ReadLimits& limits) {
  return decode_image(read_file(path), path.string(), limits);
}

Image read_gray(const std::filesystem::path& path, const ReadLimits& limits) {
  return to_gray(codec::decode_upright(read_file(path), path.string(), limits, codec::Samples::unit));
}

std::vector<uint16_t> read_labels(const std::filesystem::path& path, int& width, int& height) {
  const Image image = codec::decode_upright(read_file(path), path.string(), {}, codec::Samples::raw);
  width = image.width;
  height = image.height;
  return {image.data.begin(), image.data.end()};  // float holds every 16-bit number exactly
}

void write_image(const std::filesystem::path& path, const Image& image) {
  const std::string ending = lower_case(path.extension().string());
  if (ending == ".png") return write_file(path, encode_png(image));
  if (ending == ".jpg" || ending == ".jpeg") return write_file(path, encode_jpeg(image, 95, false));
  if (ending == ".webp") return write_file(path, encode_webp_lossless(image));
  throw usage_error(fmt::format("write image: {}: expected a name ending in .png, .jpg, .jpeg or .webp. change the name", path.string()));
}

}  // namespace finpercep
