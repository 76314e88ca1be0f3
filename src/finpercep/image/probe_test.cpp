// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/probe.h"

#include <doctest/doctest.h>

#include "finpercep/image/io.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;

namespace {

void check(const std::vector<std::byte>& bytes, int64_t width, int64_t height, int bits, bool alpha) {
  const PictureInfo info = probe_image(bytes);
  CHECK(info.width == width);
  CHECK(info.height == height);
  CHECK(info.bits == bits);
  CHECK(info.alpha == alpha);
}

}  // namespace

TEST_CASE("headers tell size, depth and alpha") {
  const Image photo = test::photo(37, 21);
  check(encode_png(photo), 37, 21, 8, false);
  check(encode_jpeg(photo, 90, true), 37, 21, 8, false);
  check(encode_webp_lossless(photo), 37, 21, 8, false);
  check(test::png_header(5, 7, 16, 6), 5, 7, 16, true);
  check(test::with_chunk(encode_png(photo), "tRNS", test::Bytes(6)), 37, 21, 8, true);
}

TEST_CASE("cut and foreign bytes give zeros or a header, and never fail") {
  const Image photo = test::photo(40, 30);
  for (const auto& whole : {encode_png(photo), encode_jpeg(photo, 90, false), encode_webp_lossless(photo)})
    for (std::size_t size = 0; size < whole.size(); size += 1 + size / 40) {
      const PictureInfo info = probe_image(std::span(whole).first(size));
      CHECK((info.width == 0 || info.width == 40));
    }
  check({}, 0, 0, 8, false);
  check(test::Bytes(100, std::byte{0xFF}), 0, 0, 8, false);
  test::Bytes text;  // begins as a TIFF does, and is none
  test::append(text, std::string("II. what is to be decided, and by whom, stands below"));
  check(text, 0, 0, 8, false);
  CHECK(test::input_message([&] { decode_image(text, "notes"); }).find("found something else") != std::string::npos);
}
