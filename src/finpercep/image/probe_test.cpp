// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/probe.h"

#include <cstring>

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

// The smallest that libpng takes: a header of 128 bytes and a table of no tags. `space`: the numbers' colours.
test::Bytes icc_profile(const std::string& space) {
  test::Bytes profile(132);
  const auto put = [&](std::size_t at, const std::string& text) { std::memcpy(profile.data() + at, text.data(), text.size()); };
  put(0, std::string("\0\0\0\x84", 4));
  put(12, "mntr" + space + "XYZ ");
  put(36, "acsp");
  put(68, std::string("\0\0\xF6\xD6\0\1\0\0\0\0\xD3\x2D", 12));  // D50
  return profile;
}

// Two segments APP2 after the first mark, the second part first.
test::Bytes with_icc(const test::Bytes& jpeg, const test::Bytes& profile) {
  test::Bytes bytes(jpeg.begin(), jpeg.begin() + 2);
  for (const int number : {2, 1}) {
    const std::size_t begin = number == 1 ? 0 : 100, size = number == 1 ? 100 : profile.size() - 100;
    test::append(bytes, std::string("\xFF\xE2"));
    test::append_number(bytes, static_cast<uint32_t>(2 + 14 + size), 2, true);
    test::append(bytes, std::string("ICC_PROFILE\0", 12) + static_cast<char>(number) + '\2');
    test::append(bytes, profile.data() + begin, size);
  }
  test::append(bytes, jpeg.data() + 2, jpeg.size() - 2);
  return bytes;
}

TEST_CASE("an ICC profile of RGB is found and written, one of ink or gray is not") {
  const Image photo = test::photo(9, 8);
  const test::Bytes rgb = icc_profile("RGB ");
  CHECK(probe_image(encode_png(photo)).profile.empty());
  CHECK((probe_image(encode_png(photo, rgb)).profile == rgb));
  CHECK(decode_image(encode_png(photo, rgb), "test").data == photo.data);
  const test::Bytes jpeg = encode_jpeg(photo, 90, false);
  CHECK((probe_image(with_icc(jpeg, rgb)).profile == rgb));
  CHECK(probe_image(with_icc(jpeg, rgb)).width == 9);
  CHECK(decode_image(with_icc(jpeg, rgb), "test").data == decode_image(jpeg, "test").data);
  CHECK(probe_image(with_icc(jpeg, icc_profile("CMYK"))).profile.empty());
  CHECK(probe_image(with_icc(jpeg, icc_profile("GRAY"))).profile.empty());
  test::Bytes damaged = rgb;
  damaged[3] = std::byte{0x85};
  CHECK(probe_image(with_icc(jpeg, damaged)).profile.empty());
  test::Bytes wrong = rgb;
  wrong[131] = std::byte{200};  // tags that are not there: libpng leaves it out, and the picture is whole
  CHECK(probe_image(encode_png(photo, wrong)).profile.empty());
  CHECK(decode_image(encode_png(photo, wrong), "test").data == photo.data);
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
