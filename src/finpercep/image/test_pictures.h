// SPDX-License-Identifier: Apache-2.0
// For tests: pictures, and files that our own writers do not make.
#pragma once
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/image.h"

namespace finpercep::test {

using Bytes = std::vector<std::byte>;

/// Smooth colours with some texture, all values multiples of 1/255, so that 8 bits hold them exactly.
inline Image photo(int width, int height, int channels = 3) {
  Image image(width, height, channels);
  uint32_t state = 12345;
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        state = state * 1664525u + 1013904223u;
        const double value = 120 + 70 * std::sin(x * 0.11 + c) + 50 * std::cos(y * 0.07 - c) + static_cast<double>(state >> 28);
        image.at(c, y, x) = static_cast<float>(std::floor(value)) / 255.0f;
      }
    }
  }
  return image;
}

inline float largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 1e9f;
  float worst = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) worst = std::max(worst, std::abs(a.data[i] - b.data[i]));
  return worst;
}

/// The message of the input error that `action` gives; "" when it gives none.
template <class Action>
std::string input_message(Action action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.code() != ExitCode::input || message.find('\n') != std::string::npos) return "";
    return message;
  }
  return "";
}

inline void append(Bytes& out, const void* data, std::size_t size) {
  const std::size_t before = out.size();
  out.resize(before + size);
  if (size > 0) std::memcpy(out.data() + before, data, size);
}

inline void append(Bytes& out, const std::string& text) { append(out, text.data(), text.size()); }

inline void append_number(Bytes& out, uint32_t value, int size, bool big) {
  for (int i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(value >> 8 * (big ? size - 1 - i : i)));
}

/// One PNG chunk with its checksum.
inline void append_chunk(Bytes& png, const std::string& type, const Bytes& data) {
  append_number(png, static_cast<uint32_t>(data.size()), 4, true);
  const std::size_t start = png.size();
  append(png, type);
  append(png, data.data(), data.size());
  uint32_t crc = 0xFFFFFFFFu;
  for (std::size_t i = start; i < png.size(); ++i) {
    crc ^= std::to_integer<uint32_t>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  append_number(png, ~crc, 4, true);
}

inline Bytes png_header(uint32_t width, uint32_t height, int bits = 8, int colour = 2) {
  Bytes png;
  append(png, std::string("\x89PNG\r\n\x1A\n", 8));
  Bytes header;
  append_number(header, width, 4, true);
  append_number(header, height, 4, true);
  append_number(header, static_cast<uint32_t>(bits << 24 | colour << 16), 4, true);
  append_number(header, 0, 1, true);
  append_chunk(png, "IHDR", header);
  return png;
}

/// `png` with one more chunk after its header.
inline Bytes with_chunk(const Bytes& png, const std::string& type, const Bytes& data) {
  Bytes result(png.begin(), png.begin() + 33);
  append_chunk(result, type, data);
  result.insert(result.end(), png.begin() + 33, png.end());
  return result;
}

/// An EXIF block that holds nothing but the orientation.
inline Bytes exif_block(int orientation, bool big) {
  Bytes block;
  append(block, big ? std::string("MM\0*", 4) : std::string("II*\0", 4));
  append_number(block, 8, 4, big);
  append_number(block, 1, 2, big);
  append_number(block, 0x0112, 2, big);
  append_number(block, 3, 2, big);
  append_number(block, 1, 4, big);
  append_number(block, static_cast<uint32_t>(orientation), 2, big);
  append_number(block, 0, 2, big);
  append_number(block, 0, 4, big);
  return block;
}

struct PngKind {
  int bits = 8;
  int colour = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
  std::vector<png_color> palette = {};
  std::vector<uint8_t> palette_alpha = {};
  int transparent_gray = -1;
};

/// Any kind of PNG through libpng; `rows` as libpng takes them (packed samples, 16 bits big endian).
inline Bytes make_png(int width, const std::vector<std::vector<uint8_t>>& rows, const PngKind& kind) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) throw std::runtime_error("libpng");
  png_set_write_fn(
      png, &out, [](png_structp p, png_bytep data, size_t size) { append(*static_cast<Bytes*>(png_get_io_ptr(p)), data, size); }, nullptr);
  png_set_IHDR(png, info, width, rows.size(), kind.bits, kind.colour, kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!kind.palette.empty()) png_set_PLTE(png, info, kind.palette.data(), static_cast<int>(kind.palette.size()));
  if (!kind.palette_alpha.empty()) png_set_tRNS(png, info, kind.palette_alpha.data(), static_cast<int>(kind.palette_alpha.size()), nullptr);
  if (kind.transparent_gray >= 0) {
    png_color_16 colour = {};
    colour.gray = static_cast<png_uint_16>(kind.transparent_gray);
    png_set_tRNS(png, info, nullptr, 0, &colour);
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (const auto& row : rows) pointers.push_back(const_cast<png_bytep>(row.data()));
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

// The picture as a camera that was turned would store it. EXIF 2.3, tag 274: where the 0th row and the 0th column lie.
inline Image stored(const Image& upright, int orientation) {
  const int W = upright.width, H = upright.height;
  Image result(orientation >= 5 ? H : W, orientation >= 5 ? W : H, upright.channels);
  for (int channel = 0; channel < upright.channels; ++channel) {
    for (int r = 0; r < result.height; ++r) {
      for (int c = 0; c < result.width; ++c) {
        int x = 0, y = 0;
        switch (orientation) {
          case 1:
            x = c, y = r;
            break;  // top, left
          case 2:
            x = W - 1 - c, y = r;
            break;  // top, right
          case 3:
            x = W - 1 - c, y = H - 1 - r;
            break;  // bottom, right
          case 4:
            x = c, y = H - 1 - r;
            break;  // bottom, left
          case 5:
            x = r, y = c;
            break;  // left, top
          case 6:
            x = W - 1 - r, y = c;
            break;  // right, top
          case 7:
            x = W - 1 - r, y = H - 1 - c;
            break;  // right, bottom
          default:
            x = r, y = H - 1 - c;
            break;  // left, bottom
        }
        result.at(channel, r, c) = upright.at(channel, y, x);
      }
    }
  }
  return result;
}

}  // namespace finpercep::test
