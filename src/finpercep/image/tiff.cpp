// SPDX-License-Identifier: Apache-2.0
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {
namespace {

constexpr char kFormat[] = "TIFF";

struct Source {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
  char message[200] = "";
};

tmsize_t read_source(thandle_t handle, void* out, tmsize_t count) {
  auto& source = *static_cast<Source*>(handle);
  if (count <= 0 || source.at >= source.bytes.size()) return 0;
  const auto n = std::min<uint64_t>(static_cast<uint64_t>(count), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, n);
  source.at += n;
  return static_cast<tmsize_t>(n);
}

tmsize_t refuse_write(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek_source(thandle_t handle, toff_t offset, int whence) {
  auto& source = *static_cast<Source*>(handle);
  if (whence == SEEK_CUR) offset += source.at;
  if (whence == SEEK_END) offset += source.bytes.size();
  return source.at = offset;
}

int close_source(thandle_t) { return 0; }
toff_t size_source(thandle_t handle) { return static_cast<Source*>(handle)->bytes.size(); }

int map_source(thandle_t handle, void** base, toff_t* size) {
  auto& source = *static_cast<Source*>(handle);
  *base = const_cast<std::byte*>(source.bytes.data());  // libtiff only reads what it maps in mode "r"
  *size = source.bytes.size();
  return 1;
}

void unmap_source(thandle_t, void*, toff_t) {}

// Keeps the first message: it names the cause, the later ones what followed.
void keep_message(Source& source, const char* format, va_list arguments) {
  if (source.message[0] == '\0') std::vsnprintf(source.message, sizeof source.message, format, arguments);
}

using Handle = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

Handle open_tiff(Source& source) {
#if TIFFLIB_VERSION >= 20221213  // 4.5: handlers of one file instead of the whole process
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  const auto on_error = [](TIFF*, void* user, const char*, const char* format, va_list arguments) {
    keep_message(*static_cast<Source*>(user), format, arguments);
    return 1;
  };
  const auto on_warning = [](TIFF*, void*, const char*, const char*, va_list) { return 1; };
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), tmsize_t{1} << 31);
  return {TIFFClientOpenExt("tiff", "r", &source, read_source, refuse_write, seek_source, close_source, size_source, map_source,
                            unmap_source, options.get()),
          &TIFFClose};
#else
  TIFFSetErrorHandler(nullptr);
  TIFFSetWarningHandler(nullptr);
  return {TIFFClientOpen("tiff", "r", &source, read_source, refuse_write, seek_source, close_source, size_source, map_source, unmap_source),
          &TIFFClose};
#endif
}

struct Layout {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISBLACK, planar = PLANARCONFIG_CONTIG, format = SAMPLEFORMAT_UINT;
  uint16_t orientation = 1;
};

Layout read_layout(TIFF* tiff) {
  Layout layout;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &layout.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &layout.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout.photometric);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &layout.planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &layout.format);
  TIFFGetField(tiff, TIFFTAG_ORIENTATION, &layout.orientation);
  return layout;
}

/// Bytes of pixels that a byte of the file can hold: a bound, so that a few bytes do not ask for gigabytes.
uint64_t most_from_a_byte(TIFF* tiff) {
  uint16_t compression = COMPRESSION_NONE;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  switch (compression) {
    case COMPRESSION_NONE:
      return 4;  // chroma may be subsampled
    case COMPRESSION_PACKBITS:
      return 128;
    case COMPRESSION_LZW:
      return 4096;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      return 1032;
    default:
      return uint64_t{1} << 20;
  }
}

template <class Value>
float sample(const std::byte* at, float scale) {
  Value value;
  std::memcpy(&value, at, sizeof value);  // already in the machine's byte order
  return static_cast<float>(value) / scale;
}

/// Gray and RGB of 8 or 16 bits, strips or tiles, interleaved or planar. Alpha and other extra samples are left out. `most_bytes`: what the
/// file can hold at all; a tile may be larger than the picture.
Image read_blocks(TIFF* tiff, const Layout& layout, uint64_t most_bytes, Source& source, const std::string& where, Samples samples) {
  const int channels = layout.photometric == PHOTOMETRIC_RGB ? 3 : 1;
  const bool tiled = TIFFIsTiled(tiff) != 0;
  uint32_t block_width = layout.width, block_height = layout.height;
  if (tiled) {
    if (TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &block_width) == 0 || TIFFGetField(tiff, TIFFTAG_TILELENGTH, &block_height) == 0) {
      throw corrupt_error(kFormat, where, "tiles without a size");
    }
  } else {
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &block_height);
    block_height = std::min(block_height, layout.height);
  }
  const bool planar = layout.planar == PLANARCONFIG_SEPARATE;
  const std::size_t step = planar ? 1 : layout.samples;
  const std::size_t bytes = layout.bits / 8;
  const tmsize_t block_size = tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
  const uint64_t expected = uint64_t{block_width} * block_height * step * bytes;
  if (block_width == 0 || block_height == 0 || block_size <= 0 || static_cast<uint64_t>(block_size) != expected ||
      expected > std::min(most_bytes, uint64_t{1} << 31)) {
    throw corrupt_error(kFormat, where, "strips or tiles of an impossible size");
  }
  Image image(static_cast<int>(layout.width), static_cast<int>(layout.height), channels);
  std::vector<std::byte> block(expected);
  const float full = samples == Samples::raw ? 1.0f : bytes == 2 ? 65535.0f : 255.0f;
  const bool inverted = layout.photometric == PHOTOMETRIC_MINISWHITE && samples == Samples::unit;
  for (int plane = 0; plane < (planar ? channels : 1); ++plane) {
    for (uint32_t top = 0; top < layout.height; top += block_height) {
      for (uint32_t left = 0; left < layout.width; left += block_width) {
        const uint32_t rows = std::min(block_height, layout.height - top), columns = std::min(block_width, layout.width - left);
        const auto wanted = static_cast<tmsize_t>(tiled ? expected : uint64_t{rows} * block_width * step * bytes);
        const tmsize_t got =
            tiled ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, left, top, 0, static_cast<uint16_t>(plane)), block.data(), wanted)
                  : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, top, static_cast<uint16_t>(plane)), block.data(), wanted);
        if (got != wanted) throw corrupt_error(kFormat, where, source.message[0] != '\0' ? source.message : "the file is cut");
        for (int c = plane; c < (planar ? plane + 1 : channels); ++c) {
          for (uint32_t y = 0; y < rows; ++y) {
            const std::byte* from = block.data() + (std::size_t{y} * block_width * step + (planar ? 0 : c)) * bytes;
            float* out = image.plane(c) + std::size_t{top + y} * layout.width + left;
            for (uint32_t x = 0; x < columns; ++x) {
              out[x] = bytes == 2 ? sample<uint16_t>(from + x * step * 2, full) : sample<uint8_t>(from + x * step, full);
              if (inverted) out[x] = 1.0f - out[x];
            }
          }
        }
      }
    }
  }
  return image;
}

/// Everything else that libtiff can turn into 8-bit RGB itself: palette, bilevel, YCbCr, CMYK, Lab.
Image read_converted(TIFF* tiff, const Layout& layout, Source& source, const std::string& where) {
  char reason[1024] = "";
  if (TIFFRGBAImageOK(tiff, reason) == 0) throw corrupt_error(kFormat, where, std::string("a kind that is not supported: ") + reason);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);  // in memory only: turning upright is done in one place, for all formats
  std::vector<uint32_t> raster(std::size_t{layout.width} * layout.height);
  if (TIFFReadRGBAImageOriented(tiff, layout.width, layout.height, raster.data(), ORIENTATION_TOPLEFT, 1) == 0) {
    throw corrupt_error(kFormat, where, source.message[0] != '\0' ? source.message : "the file is cut");
  }
  Image image(static_cast<int>(layout.width), static_cast<int>(layout.height));
  for (std::size_t i = 0; i < raster.size(); ++i) {
    image.plane(0)[i] = static_cast<float>(TIFFGetR(raster[i])) / 255.0f;
    image.plane(1)[i] = static_cast<float>(TIFFGetG(raster[i])) / 255.0f;
    image.plane(2)[i] = static_cast<float>(TIFFGetB(raster[i])) / 255.0f;
  }
  return image;
}

}  // namespace

PictureInfo probe_tiff(std::span<const std::byte> bytes) {
  Source source{bytes};
  const Handle tiff = open_tiff(source);
  if (tiff == nullptr) return {};
  const Layout layout = read_layout(tiff.get());
  uint16_t extra = 0, *kinds = nullptr;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  return {layout.width, layout.height, layout.bits, extra > 0};
}

std::vector<std::byte> tiff_profile(std::span<const std::byte> bytes) {
  Source source{bytes};
  const Handle tiff = open_tiff(source);
  uint32_t size = 0;
  const std::byte* profile = nullptr;
  if (tiff == nullptr || TIFFGetField(tiff.get(), TIFFTAG_ICCPROFILE, &size, &profile) != 1 || profile == nullptr) return {};
  return {profile, profile + size};
}

// Of a file of several pages the first.
Decoded decode_tiff(std::span<const std::byte> bytes, const std::string& where, const ReadLimits& limits, Samples samples) {
  Source source{bytes};
  const Handle tiff = open_tiff(source);
  if (tiff == nullptr) throw corrupt_error(kFormat, where, source.message[0] != '\0' ? source.message : "no whole header");
  const Layout layout = read_layout(tiff.get());
  check_size(kFormat, layout.width, layout.height, where, limits);
  const bool gray = layout.photometric == PHOTOMETRIC_MINISBLACK || layout.photometric == PHOTOMETRIC_MINISWHITE;
  const bool rgb = layout.photometric == PHOTOMETRIC_RGB && layout.samples >= 3;
  const bool label = samples == Samples::raw;
  const bool whole_bytes = layout.bits == 8 || layout.bits == 16;
  if (label && !((gray || layout.photometric == PHOTOMETRIC_PALETTE) && whole_bytes)) {
    throw input_error(
        fmt::format("read labels: {}: expected a gray or palette picture of 8 or 16 bits, found another kind. convert it", where));
  }
  if (layout.format != SAMPLEFORMAT_UINT && layout.format != SAMPLEFORMAT_VOID) {
    throw corrupt_error(kFormat, where, "samples that are signed or floating point, which is not supported");
  }
  const uint64_t most_bytes = most_from_a_byte(tiff.get()) * (bytes.size() + 1);
  if (uint64_t{layout.width} * layout.height * layout.samples * layout.bits / 8 > most_bytes)
    throw corrupt_error(kFormat, where, "too little picture data, the file is cut");
  const int orientation = layout.orientation >= 1 && layout.orientation <= 8 ? layout.orientation : 1;
  if (whole_bytes && (gray || rgb || label)) return {read_blocks(tiff.get(), layout, most_bytes, source, where, samples), orientation};
  return {read_converted(tiff.get(), layout, source, where), orientation};
}

}  // namespace finpercep::codec
