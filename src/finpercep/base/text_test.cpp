// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/text.h"

#include <cstdint>

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("a number is the whole text or nothing") {
  CHECK(parse_number<int64_t>("00000010") == 10);
  CHECK(parse_number<int>("-3") == -3);
  CHECK(parse_number<double>("1e-05") == 1e-05);
  CHECK(parse_number<double>("2.5") == 2.5);
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "x", "0x10", "1/2", "1.5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number<int64_t>(text).has_value());
  }
  for (const char* text : {"", " 1", "1,5", "nan", "inf", "1e999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number<double>(text).has_value());
  }
  CHECK_FALSE(parse_number<int>("2147483648").has_value());
  CHECK_FALSE(parse_number<int64_t>("99999999999999999999").has_value());
}

TEST_CASE("lower case is of the letters A to Z alone") { CHECK(lower_case("Photo.JPEG \xC3\x84[") == "photo.jpeg \xC3\x84["); }

TEST_CASE("what could steer a terminal is spelt out, letters beyond ASCII stay") {
  CHECK(one_line("a\nb\tc\x1b[2J\x7f") == "a\\nb\\tc\\x1b[2J\\x7f");
  CHECK(one_line("\xC2\x9B"
                 "31m \xC3\x84 \xC2\xA9") == "\\x9b31m \xC3\x84 \xC2\xA9");
}
