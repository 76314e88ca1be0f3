// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/profile.h"

#include <cstring>

#include <doctest/doctest.h>

#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;

namespace {

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

}  // namespace

TEST_CASE("an ICC profile of RGB is found and written, one of ink or gray is not") {
  const Image photo = test::photo(9, 8);
  const test::Bytes rgb = icc_profile("RGB ");
  CHECK(colour_profile(encode_png(photo)).empty());
  CHECK((colour_profile(encode_png(photo, rgb)) == rgb));
  CHECK(decode_image(encode_png(photo, rgb), "test").data == photo.data);
  const test::Bytes jpeg = encode_jpeg(photo, 90, false);
  CHECK((colour_profile(with_icc(jpeg, rgb)) == rgb));
  CHECK(probe_image(with_icc(jpeg, rgb)).width == 9);
  CHECK(decode_image(with_icc(jpeg, rgb), "test").data == decode_image(jpeg, "test").data);
  CHECK(colour_profile(with_icc(jpeg, icc_profile("CMYK"))).empty());
  CHECK(colour_profile(with_icc(jpeg, icc_profile("GRAY"))).empty());
  test::Bytes damaged = rgb;
  damaged[3] = std::byte{0x85};
  CHECK(colour_profile(with_icc(jpeg, damaged)).empty());
  test::Bytes wrong = rgb;
  wrong[131] = std::byte{200};  // tags that are not there: libpng leaves it out, and the picture is whole
  CHECK(colour_profile(encode_png(photo, wrong)).empty());
  CHECK(decode_image(encode_png(photo, wrong), "test").data == photo.data);
}
