// SPDX-License-Identifier: Apache-2.0
// Bad input: a cut, corrupt or hostile file is an error, quickly and in little memory, never part of a picture.
#include <cstdio>  // before jpeglib.h, which uses FILE

#include <jpeglib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include <doctest/doctest.h>

#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;
using namespace finpercep::test;

namespace {

std::string message_of(const Bytes& bytes, const ReadLimits& limits = {}) {
  return input_message([&] { decode_image(bytes, "bad.png", limits); });
}

Bytes cut(const Bytes& bytes, std::size_t size) { return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}; }

int64_t peak_megabytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

/// Refused within half a second and 64 MB.
void check_cheap_refusal(const Bytes& bytes, const std::string& expected) {
  const int64_t before = peak_megabytes();
  const auto start = std::chrono::steady_clock::now();
  const std::string message = message_of(bytes);
  CAPTURE(message);
  CHECK(message.find("bad.png") != std::string::npos);
  CHECK(message.find(expected) != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500));
  CHECK(peak_megabytes() - before < 64);
}

/// A gray picture whose every coefficient comes bit by bit in a scan of its own: 1 + 63 * 11 scans, all of them legal.
Bytes jpeg_of_many_scans() {
  std::vector<jpeg_scan_info> scans;
  scans.push_back({1, {0, 0, 0, 0}, 0, 0, 0, 0});
  for (int k = 1; k < 64; ++k) {
    scans.push_back({1, {0, 0, 0, 0}, k, k, 0, 10});
    for (int low = 9; low >= 0; --low) scans.push_back({1, {0, 0, 0, 0}, k, k, low + 1, low});
  }
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = info.image_height = 16;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  info.scan_info = scans.data();
  info.num_scans = static_cast<int>(scans.size());
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < 16; ++y) {
    uint8_t line[16];
    for (int x = 0; x < 16; ++x) line[x] = static_cast<uint8_t>(x * 15 + y);
    JSAMPROW row = line;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes;
  append(bytes, data, size);
  std::free(data);
  return bytes;
}

}  // namespace

TEST_CASE("what is no picture is named for what it is") {
  Bytes random(5000);
  std::mt19937 engine(1);
  for (std::byte& b : random) b = static_cast<std::byte>(engine());
  CHECK(message_of({}).find("an empty file") != std::string::npos);
  CHECK(message_of(random).find("something else") != std::string::npos);
  const auto text = [](const std::string& content) {
    Bytes bytes;
    append(bytes, content);
    return message_of(bytes);
  };
  CHECK(text("GIF89a").find("GIF") != std::string::npos);
  CHECK(text("version https://git-lfs.github.com/spec/v1").find("git lfs pull") != std::string::npos);
  CHECK(text("x").find("PNG, JPEG, WebP, TIFF or BMP") != std::string::npos);
  // nothing but the magic number, then noise after it
  for (const std::string& magic : {std::string("\x89PNG\r\n\x1A\n"), std::string("\xFF\xD8\xFF"), std::string("RIFF\x10\0\0\0WEBP", 12),
                                   std::string("II*\0", 4), std::string("MM\0*", 4), std::string("II+\0", 4)}) {
    Bytes bytes;
    append(bytes, magic);
    CHECK(!message_of(bytes).empty());
    append(bytes, random.data(), random.size());
    CHECK(!message_of(bytes).empty());
  }
}

TEST_CASE("a PNG cut anywhere is an error") {
  const Bytes png = encode_png(photo(64, 48));
  REQUIRE(message_of(png).empty());
  std::vector<std::size_t> places;
  for (std::size_t at = 8; at < png.size();) {
    places.push_back(at);
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(png[at + i]);
    at += 12 + length;
  }
  REQUIRE(places.size() >= 3);
  std::mt19937 engine(2);
  for (int i = 0; i < 200; ++i) places.push_back(engine() % png.size());
  for (std::size_t i = 1; i <= 16; ++i) places.push_back(png.size() - i);
  for (const std::size_t place : places) {
    CAPTURE(place);
    CHECK(!message_of(cut(png, place)).empty());
  }
}

TEST_CASE("500 flipped bits in a PNG never change a pixel unseen") {
  const Image image = photo(64, 48);
  const Bytes png = encode_png(image);
  std::mt19937 engine(3);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    Bytes bad = png;
    const std::size_t place = 8 + engine() % (png.size() - 8);
    bad[place] ^= static_cast<std::byte>(1u << engine() % 8);
    try {
      const Image back = decode_image(bad, "bad.png");
      CHECK(back.data == image.data);
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::input);
      ++refused;
    }
  }
  CHECK(refused > 490);
}

TEST_CASE("a header that promises too much is refused before memory is taken") {
  const auto png = [](uint32_t width, uint32_t height) {
    Bytes bytes = png_header(width, height);
    append_chunk(bytes, "IDAT", Bytes(1000));
    append_chunk(bytes, "IEND", {});
    return bytes;
  };
  check_cheap_refusal(png(60'000, 60'000), "60000 x 60000");
  check_cheap_refusal(png(70'000, 1), "65535 a side");
  check_cheap_refusal(png(13'000, 13'000), "the file is cut");  // within the limits, but a kilobyte cannot hold it
  check_cheap_refusal(png(0, 10), "0");
  check_cheap_refusal(png(10, 0), "0");
  check_cheap_refusal(png(0x7FFFFFFF, 0x7FFFFFFF), "2147483647");
  check_cheap_refusal(png(0xFFFFFFFF, 1), "4294967295");

  Bytes jpeg = encode_jpeg(photo(16, 16), 90, false);
  for (std::size_t i = 2; i + 9 < jpeg.size(); ++i) {  // the frame header: FF C0, length, precision, height, width
    if (jpeg[i] != std::byte{0xFF} || jpeg[i + 1] != std::byte{0xC0}) continue;
    for (std::size_t k = 5; k < 9; ++k) jpeg[i + k] = std::byte{0xFE};
    break;
  }
  check_cheap_refusal(jpeg, "65278 x 65278");

  const ReadLimits small = {.max_pixels = 100, .max_side = 20};
  CHECK(message_of(encode_png(photo(11, 10)), small).find("100 pixels") != std::string::npos);
  CHECK(message_of(encode_webp_lossless(photo(11, 10)), small).find("100 pixels") != std::string::npos);
  CHECK(message_of(encode_jpeg(photo(11, 10), 90, false), small).find("100 pixels") != std::string::npos);
  CHECK(message_of(encode_png(photo(10, 10)), small).empty());
}

TEST_CASE("a JPEG or WebP cut anywhere is an error, never half a picture") {
  std::mt19937 engine(4);
  for (const Bytes& whole :
       {encode_jpeg(photo(96, 80), 90, true), encode_jpeg(photo(96, 80, 1), 90, false), encode_webp_lossless(photo(96, 80))}) {
    REQUIRE(message_of(whole).empty());
    CHECK(!message_of(cut(whole, whole.size() / 2)).empty());
    for (int i = 0; i < 200; ++i) {
      const std::size_t place = engine() % (whole.size() - 1);
      CAPTURE(place);
      CHECK(!message_of(cut(whole, place)).empty());
    }
  }
}

TEST_CASE("a JPEG with a hole in its data is an error, one with padding before its end mark is not") {
  Bytes jpeg = encode_jpeg(photo(96, 80), 90, false);
  Bytes holed = jpeg;
  holed.erase(holed.begin() + static_cast<std::ptrdiff_t>(jpeg.size() / 2),
              holed.begin() + static_cast<std::ptrdiff_t>(jpeg.size() * 3 / 4));
  CHECK(!message_of(holed).empty());
  Bytes padded = jpeg;
  padded.insert(padded.end() - 2, 8, std::byte{0});
  CHECK(decode_image(padded, "padded").data == decode_image(jpeg, "whole").data);
  Bytes trailing = jpeg;
  append(trailing, "a maker's note after the end mark");
  CHECK(decode_image(trailing, "trailing").data == decode_image(jpeg, "whole").data);
}

TEST_CASE("a JPEG of very many scans is refused") { check_cheap_refusal(jpeg_of_many_scans(), "more than 500 scans"); }

TEST_CASE("content decides, not the name") {
  const TestFolder folder;
  const Image image = photo(20, 10);
  write_file(folder / "really_png.jpg", encode_png(image));
  CHECK(read_image(folder / "really_png.jpg").data == image.data);
  write_file(folder / "really_webp.tif", encode_webp_lossless(image));
  CHECK(read_image(folder / "really_webp.tif").data == image.data);
}

TEST_CASE("what is no regular file is refused at once") {
  const TestFolder folder;
  std::filesystem::create_directory(folder / "folder.png");
  REQUIRE(::mkfifo((folder / "pipe.png").c_str(), 0600) == 0);
  std::filesystem::create_symlink(folder / "nowhere", folder / "dangling.png");
  write_file(folder / "empty.png", "");
  for (const auto& path : {folder / "folder.png", folder / "pipe.png", folder / "dangling.png", folder / "missing.png",
                           folder / "empty.png", std::filesystem::path("/dev/zero")}) {
    const std::string message = input_message([&] { read_image(path); });
    CAPTURE(path);
    CHECK(message.find(path.string()) != std::string::npos);
  }
}

TEST_CASE("damaged TIFF and WebP give an error or a picture of the right size, and never crash") {
  // A TIFF by hand: 64 x 32, gray, one strip, not compressed, data after the directory.
  Bytes tiff;
  append(tiff, std::string("II*\0", 4));
  append_number(tiff, 8, 4, false);
  const std::vector<std::array<uint32_t, 3>> tags = {{256, 3, 64}, {257, 3, 32}, {258, 3, 8},
                                                     {259, 3, 1},  {262, 3, 1},  {273, 4, 8 + 2 + 9 * 12 + 4},
                                                     {277, 3, 1},  {278, 3, 32}, {279, 4, 2048}};
  append_number(tiff, static_cast<uint32_t>(tags.size()), 2, false);
  for (const auto& [tag, type, value] : tags) {
    append_number(tiff, tag, 2, false);
    append_number(tiff, type, 2, false);
    append_number(tiff, 1, 4, false);
    append_number(tiff, value, 4, false);
  }
  append_number(tiff, 0, 4, false);
  for (int i = 0; i < 2048; ++i) tiff.push_back(static_cast<std::byte>(i * 3));
  REQUIRE(decode_image(tiff, "tiff").at(0, 1, 2) == static_cast<float>((64 + 2) * 3 & 0xFF) / 255.0f);
  for (const std::size_t place : {tiff.size() - 1, tiff.size() / 2, std::size_t{100}, std::size_t{9}, std::size_t{5}}) {
    CAPTURE(place);
    CHECK(!message_of(cut(tiff, place)).empty());
  }
  std::mt19937 engine(5);
  for (const Bytes& whole : {tiff, encode_webp_lossless(photo(64, 32)), encode_jpeg(photo(64, 32), 80, true)}) {
    for (int i = 0; i < 1500; ++i) {
      Bytes bad = whole;
      for (int k = 0; k < 3; ++k) bad[engine() % std::min<std::size_t>(bad.size(), 300)] = static_cast<std::byte>(engine());
      try {
        const Image image = decode_image(bad, "bad", {.max_pixels = 1 << 20, .max_side = 4096});
        CHECK(image.data.size() == image.plane_size() * 3);
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::input);
      }
    }
  }
}
