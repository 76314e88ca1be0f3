// SPDX-License-Identifier: Apache-2.0
#include <tiffio.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;
using namespace finpercep::test;

namespace {

struct TiffKind {
  int bits = 8, samples = 3, photometric = PHOTOMETRIC_RGB, planar = PLANARCONFIG_CONTIG, compression = COMPRESSION_LZW, tile = 0,
      orientation = 1;
};

// Sample s of pixel (x, y) is value(s, y, x).
template <class Value>
void make_tiff(const std::filesystem::path& path, int width, int height, const TiffKind& kind, Value value) {
  const std::unique_ptr<TIFF, decltype(&TIFFClose)> tiff(TIFFOpen(path.c_str(), "w"), &TIFFClose);
  REQUIRE(tiff != nullptr);
  TIFFSetField(tiff.get(), TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(tiff.get(), TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(tiff.get(), TIFFTAG_BITSPERSAMPLE, kind.bits);
  TIFFSetField(tiff.get(), TIFFTAG_SAMPLESPERPIXEL, kind.samples);
  TIFFSetField(tiff.get(), TIFFTAG_PHOTOMETRIC, kind.photometric);
  TIFFSetField(tiff.get(), TIFFTAG_PLANARCONFIG, kind.planar);
  TIFFSetField(tiff.get(), TIFFTAG_COMPRESSION, kind.compression);
  TIFFSetField(tiff.get(), TIFFTAG_ORIENTATION, kind.orientation);
  if (kind.samples == 4) {
    const uint16_t extra = EXTRASAMPLE_UNASSALPHA;
    TIFFSetField(tiff.get(), TIFFTAG_EXTRASAMPLES, 1, &extra);
  }
  if (kind.photometric == PHOTOMETRIC_PALETTE) {
    std::vector<uint16_t> r(256), g(256), b(256);
    for (int i = 0; i < 256; ++i) r[i] = static_cast<uint16_t>(i * 257), g[i] = static_cast<uint16_t>((255 - i) * 257), b[i] = 257 * 9;
    TIFFSetField(tiff.get(), TIFFTAG_COLORMAP, r.data(), g.data(), b.data());
  }
  const int bw = kind.tile > 0 ? kind.tile : width, bh = kind.tile > 0 ? kind.tile : 5;
  if (kind.tile > 0) {
    TIFFSetField(tiff.get(), TIFFTAG_TILEWIDTH, bw);
    TIFFSetField(tiff.get(), TIFFTAG_TILELENGTH, bh);
  } else {
    TIFFSetField(tiff.get(), TIFFTAG_ROWSPERSTRIP, bh);
  }
  const bool planar = kind.planar == PLANARCONFIG_SEPARATE;
  const int step = planar ? 1 : kind.samples;
  uint32_t index = 0;
  for (int plane = 0; plane < (planar ? kind.samples : 1); ++plane) {
    for (int top = 0; top < height; top += bh) {
      for (int left = 0; left < width; left += bw) {
        const int rows = kind.tile > 0 ? bh : std::min(bh, height - top);
        std::vector<uint8_t> block;
        for (int y = top; y < top + rows; ++y) {
          for (int x = left; x < left + bw; ++x) {
            for (int s = 0; s < step; ++s) {
              const int v = y < height && x < width ? value(planar ? plane : s, y, x) : 0;
              block.push_back(static_cast<uint8_t>(v));  // low byte first: this machine's order, in which libtiff takes samples
              if (kind.bits == 16) block.push_back(static_cast<uint8_t>(v >> 8));
            }
          }
        }
        const auto size = static_cast<tmsize_t>(block.size());
        const tmsize_t written = kind.tile > 0 ? TIFFWriteEncodedTile(tiff.get(), index, block.data(), size)
                                               : TIFFWriteEncodedStrip(tiff.get(), index, block.data(), size);
        REQUIRE(written == size);
        ++index;
      }
    }
  }
}

}  // namespace

TEST_CASE("TIFF of 8 and 16 bits, strips and tiles, interleaved and planar") {
  const TestFolder folder;
  const auto path = folder / "a.tif";
  const auto value = [](int s, int y, int x) { return (s * 7001 + y * 523 + x * 37) & 0xFFFF; };
  for (const int bits : {8, 16}) {
    for (const int samples : {1, 3, 4}) {
      for (const int planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
        for (const int tile : {0, 16}) {
          CAPTURE(bits);
          CAPTURE(samples);
          CAPTURE(planar);
          CAPTURE(tile);
          const int photometric = samples == 1 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB;
          make_tiff(path, 21, 18, {.bits = bits, .samples = samples, .photometric = photometric, .planar = planar, .tile = tile}, value);
          const Image image = read_image(path);
          REQUIRE(image.width == 21);
          REQUIRE(image.height == 18);
          bool equal = true;
          for (int c = 0; c < 3; ++c) {
            for (int y = 0; y < 18; ++y) {
              for (int x = 0; x < 21; ++x) {
                const int v = value(samples == 1 ? 0 : c, y, x);
                equal =
                    equal && image.at(c, y, x) == (bits == 16 ? static_cast<float>(v) / 65535.0f : static_cast<float>(v & 0xFF) / 255.0f);
              }
            }
          }
          CHECK(equal);
        }
      }
    }
  }
  make_tiff(path, 5, 4, {.samples = 1, .photometric = PHOTOMETRIC_MINISWHITE}, [](int, int, int) { return 55; });
  CHECK(read_gray(path).data[0] == doctest::Approx(200.0 / 255));
  make_tiff(path, 5, 4, {.samples = 1, .photometric = PHOTOMETRIC_PALETTE}, [](int, int, int x) { return x * 10; });
  CHECK(read_image(path).at(0, 1, 3) == 30.0f / 255);
  CHECK(read_image(path).at(1, 1, 3) == 225.0f / 255);
  int width = 0, height = 0;
  CHECK(read_labels(path, width, height)[3] == 30);
  // A tile that the file cannot hold is refused before memory is taken for it.
  make_tiff(path, 16, 16, {.compression = COMPRESSION_NONE, .tile = 16}, value);
  auto bytes = read_file(path);
  const auto tag = [&](uint16_t id) {  // a short entry's value in the directory
    const std::byte wanted[] = {std::byte(id & 0xff), std::byte(id >> 8)};
    return std::search(bytes.begin() + 8, bytes.end(), std::begin(wanted), std::end(wanted)) + 8;
  };
  for (const uint16_t id : {TIFFTAG_TILEWIDTH, TIFFTAG_TILELENGTH}) *(tag(id) + 1) = std::byte{0x40};  // 16 -> 16400
  write_file(path, bytes);
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("impossible size"), Error);
  const Image upright = photo(6, 4);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = stored(upright, orientation);
    make_tiff(path, turned.width, turned.height, {.orientation = orientation},
              [&](int s, int y, int x) { return static_cast<int>(std::lround(turned.at(s, y, x) * 255)); });
    CHECK(read_image(path).data == upright.data);
  }
}
