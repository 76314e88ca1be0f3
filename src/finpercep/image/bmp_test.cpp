// SPDX-License-Identifier: Apache-2.0
// Files written here byte by byte, as Windows writes them.
#include <doctest/doctest.h>

#include <string>

#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;

namespace {

struct Bmp {
  int width = 3, height = 2, bits = 24;
  uint32_t compression = 0, colours = 0;
  std::string extra{}, pixels{};  // palette or masks; rows as stored

  std::vector<std::byte> bytes() const {
    std::string out = "BM";
    const auto put = [&](int64_t value, int count) {
      for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i));
    };
    put(54 + extra.size() + pixels.size(), 4);
    put(0, 4);
    put(54 + extra.size(), 4);
    put(40, 4);
    put(width, 4);
    put(height, 4);
    put(1, 2);
    put(bits, 2);
    put(compression, 4);
    put(0, 12);
    put(colours, 4);
    put(0, 4);
    out += extra + pixels;
    const auto* begin = reinterpret_cast<const std::byte*>(out.data());
    return {begin, begin + out.size()};
  }
};

const std::string bottom("\x01\x02\x03\x04\x05\x06\x07\x08\x09\0\0\0", 12), top("\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\0\0\0", 12);  // B G R

int byte_of(const Image& image, int c, int y, int x) { return static_cast<int>(image.at(c, y, x) * 255 + 0.5f); }

}  // namespace

TEST_CASE("bmp: 24 bits, from the bottom up and from the top down") {
  for (const int height : {2, -2}) {
    const Bmp bmp{.height = height, .pixels = height > 0 ? bottom + top : top + bottom};
    const Image image = decode_image(bmp.bytes(), "a.bmp");
    REQUIRE(image.width == 3);
    REQUIRE(image.height == 2);
    CHECK(byte_of(image, 0, 0, 0) == 0x0d);  // red of the top left
    CHECK(byte_of(image, 2, 0, 0) == 0x0b);
    CHECK(byte_of(image, 1, 1, 2) == 0x08);
    const PictureInfo info = probe_image(bmp.bytes());
    CHECK(info.width == 3);
    CHECK(info.height == 2);
    CHECK_FALSE(info.alpha);
  }
}

TEST_CASE("bmp: 32 bits plain and by masks; a palette") {
  const std::string two("\x01\x02\x03\xff\x04\x05\x06\xff", 8), masks("\0\0\xff\0\0\xff\0\0\xff\0\0\0", 12);
  for (const Bmp& bmp : {Bmp{.width = 2, .height = 1, .bits = 32, .pixels = two},
                         Bmp{.width = 2, .height = 1, .bits = 32, .compression = 3, .extra = masks, .pixels = two}}) {
    const Image image = decode_image(bmp.bytes(), "a.bmp");
    CHECK(byte_of(image, 0, 0, 1) == 6);
    CHECK(byte_of(image, 2, 0, 1) == 4);
  }
  const Bmp indexed{.width = 2,
                    .height = 1,
                    .bits = 8,
                    .colours = 2,
                    .extra = std::string("\x01\x02\x03\0\x0a\x0b\x0c\0", 8),
                    .pixels = std::string("\x01\0\0\0", 4)};
  const Image image = decode_image(indexed.bytes(), "a.bmp");
  CHECK(byte_of(image, 0, 0, 0) == 0x0c);
  CHECK(byte_of(image, 0, 0, 1) == 0x03);
}

TEST_CASE("bmp: what cannot be read is said") {
  const auto message = [](const std::vector<std::byte>& bytes) { return test::input_message([&] { decode_image(bytes, "bad.bmp"); }); };
  const auto says = [&](const Bmp& bmp, const char* what) { return message(bmp.bytes()).find(what) != std::string::npos; };
  CHECK(says({.pixels = bottom}, "cut"));
  CHECK(says({.bits = 16, .pixels = bottom + top}, "16 bits a pixel, compression 0"));
  CHECK(says({.bits = 8, .compression = 1, .pixels = bottom + top}, "8 bits a pixel, compression 1"));
  CHECK(says({.width = 0, .pixels = bottom}, "0 x 2"));
  CHECK(says({.width = 1, .height = INT32_MIN, .pixels = bottom}, "at most"));
  CHECK(says({.width = 1, .height = 1, .bits = 8, .colours = 1, .extra = std::string(4, '\0'), .pixels = std::string("\x05\0\0\0", 4)},
             "palette has not"));
  CHECK(says({.width = 1, .height = 1, .bits = 8, .colours = 4000, .pixels = std::string(4, '\0')}, "broken palette"));
  std::vector<std::byte> whole = Bmp{.pixels = bottom + top}.bytes();
  for (std::size_t length = 2; length < whole.size(); ++length)
    CHECK(message({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}).find("bad.bmp") != std::string::npos);
}
