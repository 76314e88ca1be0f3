// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/io.h"

#include <cstdio>  // before jpeglib.h, which uses FILE

#include <jpeglib.h>

#include <cstdlib>
#include <limits>
#include <span>

#include <doctest/doctest.h>

#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;
using namespace finpercep::test;

namespace {

Image decode(const Bytes& bytes) { return decode_image(bytes, "test"); }

// The four samples of each pixel are stored as they are.
Bytes make_cmyk_jpeg(const std::vector<uint8_t>& samples, int width, int height, bool ycck) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = 4;
  info.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, ycck ? JCS_YCCK : JCS_CMYK);
  info.write_Adobe_marker = TRUE;
  jpeg_set_quality(&info, 100, TRUE);
  for (int c = 0; c < 4; ++c) info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = const_cast<uint8_t*>(samples.data()) + static_cast<std::size_t>(y) * width * 4;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes;
  append(bytes, data, size);
  std::free(data);
  return bytes;
}

void append_riff_chunk(Bytes& out, const std::string& type, const Bytes& data) {
  append(out, type);
  append_number(out, static_cast<uint32_t>(data.size()), 4, false);
  append(out, data.data(), data.size());
  if (data.size() % 2 != 0) out.push_back(std::byte{0});
}

// The VP8L chunk of `image` in an extended WebP; with EXIF, or as the frame at (x, y) of an animation.
Bytes extended_webp(const Image& image, int canvas_width, int canvas_height, const Bytes& exif, bool animated, int x = 0, int y = 0) {
  const Bytes simple = encode_webp_lossless(image);
  const Bytes frame(simple.begin() + 12, simple.end());
  Bytes header;
  append_number(header, animated ? 0x02 : 0x08, 4, false);
  append_number(header, canvas_width - 1, 3, false);
  append_number(header, canvas_height - 1, 3, false);
  Bytes body;
  append(body, "WEBP");
  append_riff_chunk(body, "VP8X", header);
  if (animated) {
    append_riff_chunk(body, "ANIM", Bytes(6));
    for (int i = 0; i < 2; ++i) {  // the second frame at the origin
      Bytes data;
      append_number(data, i == 0 ? x / 2 : 0, 3, false);
      append_number(data, i == 0 ? y / 2 : 0, 3, false);
      append_number(data, image.width - 1, 3, false);
      append_number(data, image.height - 1, 3, false);
      append_number(data, 100, 4, false);
      append(data, frame.data(), frame.size());
      append_riff_chunk(body, "ANMF", data);
    }
  } else {
    append(body, frame.data(), frame.size());
    append_riff_chunk(body, "EXIF", exif);
  }
  Bytes file;
  append(file, "RIFF");
  append_number(file, static_cast<uint32_t>(body.size()), 4, false);
  append(file, body.data(), body.size());
  return file;
}

}  // namespace

TEST_CASE("lossless formats give back what was written, bit for bit") {
  const TestFolder folder;
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{1, 1}, {7, 7}, {61, 43}, {1, 300}, {300, 1}}) {
    const Image image = photo(width, height), map = photo(width, height, 1);
    for (const char* name : {"a.png", "a.webp", "a.PNG"}) {
      CAPTURE(name);
      CAPTURE(width);
      write_image(folder / name, image);
      CHECK(read_image(folder / name).data == image.data);
      write_image(folder / name, map);
      const Image back = read_gray(folder / name);
      CHECK(back.channels == 1);
      CHECK(back.data == map.data);
      const Image colour = read_image(folder / name);
      CHECK(colour.channels == 3);
      CHECK(colour.at(2, height - 1, width - 1) == map.at(0, height - 1, width - 1));
    }
  }
}

TEST_CASE("writers clamp, round to the nearest and turn NaN into 0") {
  Image image(6, 1, 1);
  image.data = {-1.0f, 2.0f, 0.4999f / 255, 0.5001f / 255, std::numeric_limits<float>::quiet_NaN(), 127.6f / 255};
  const Image back = decode(encode_png(image));
  const float expected[] = {0, 1, 0, 1.0f / 255, 0, 128.0f / 255};
  for (int x = 0; x < 6; ++x) CHECK(back.data[x] == expected[x]);
  CHECK_THROWS_AS(encode_png(Image(2, 2, 2)), Error);
  CHECK_THROWS_AS(encode_png(Image()), Error);
  CHECK_THROWS_AS(encode_jpeg(photo(2, 2), 0, false), Error);
  CHECK_THROWS_AS(encode_jpeg(photo(2, 2), 101, false), Error);
  CHECK_THROWS_AS(encode_webp_lossless(Image(20000, 1)), Error);
  CHECK_THROWS_AS(write_image("picture.bmp", photo(2, 2)), Error);
}

TEST_CASE("JPEG comes back close, gray as gray, and 4:2:0 is smaller") {
  const Image image = photo(97, 61), map = photo(97, 61, 1);
  CHECK(largest_difference(decode(encode_jpeg(image, 100, false)), image) < 5.0f / 255);
  CHECK(encode_jpeg(image, 90, true).size() < encode_jpeg(image, 90, false).size());
  const Image gray = decode(encode_jpeg(map, 100, false));
  CHECK(gray.channels == 3);
  CHECK(std::abs(gray.at(1, 30, 40) - map.at(0, 30, 40)) < 5.0f / 255);
}

TEST_CASE("16 bits are divided by 65535") {
  const std::vector<std::vector<uint8_t>> rows = {{0x00, 0x00, 0xFF, 0xFF, 0x12, 0x34}};
  const Image rgb = decode(make_png(1, rows, {.bits = 16}));
  CHECK(rgb.data == std::vector<float>{0.0f, 1.0f, 0x1234 / 65535.0f});
  const Image gray = decode(make_png(3, rows, {.bits = 16, .colour = PNG_COLOR_TYPE_GRAY}));
  CHECK(gray.at(2, 0, 2) == 0x1234 / 65535.0f);
}

TEST_CASE("every kind of PNG has one defined result") {
  const auto value = [](int v) { return static_cast<float>(v) / 255.0f; };
  SUBCASE("gray of 1, 2 and 4 bits spans 0 to 1") {
    CHECK(decode(make_png(4, {{0b10100000}}, {.bits = 1, .colour = PNG_COLOR_TYPE_GRAY})).data[2] == 1.0f);
    CHECK(decode(make_png(4, {{0b00011011}}, {.bits = 2, .colour = PNG_COLOR_TYPE_GRAY})).data[1] == value(85));
    CHECK(decode(make_png(2, {{0x3F}}, {.bits = 4, .colour = PNG_COLOR_TYPE_GRAY})).data[0] == value(51));
  }
  SUBCASE("alpha is dropped") {
    CHECK(decode(make_png(1, {{10, 20, 30, 0}}, {.colour = PNG_COLOR_TYPE_RGB_ALPHA})).data ==
          std::vector{value(10), value(20), value(30)});
    CHECK(decode(make_png(1, {{77, 0}}, {.colour = PNG_COLOR_TYPE_GRAY_ALPHA})).data == std::vector(3, value(77)));
    CHECK(decode(make_png(1, {{77}}, {.colour = PNG_COLOR_TYPE_GRAY, .transparent_gray = 77})).data == std::vector(3, value(77)));
  }
  SUBCASE("a palette with transparent entries gives its colours") {
    const PngKind kind = {
        .bits = 2, .colour = PNG_COLOR_TYPE_PALETTE, .palette = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, .palette_alpha = {0, 128}};
    CHECK(decode(make_png(3, {{0b10000100}}, kind)).data ==
          std::vector{value(7), value(1), value(4), value(8), value(2), value(5), value(9), value(3), value(6)});
  }
  SUBCASE("interlaced equals not interlaced") {
    std::vector<std::vector<uint8_t>> rows(19, std::vector<uint8_t>(23 * 3));
    uint8_t next = 1;
    for (auto& row : rows) {
      for (uint8_t& v : row) v = next = static_cast<uint8_t>(next * 5 + 3);
    }
    CHECK(decode(make_png(23, rows, {.interlaced = true})).data == decode(make_png(23, rows, {})).data);
  }
  SUBCASE("an animation shows its first frame") {
    const Image image = photo(5, 4);
    Bytes control, frames;
    append_number(frames, 2, 4, true);
    append_number(frames, 0, 4, true);
    for (const uint32_t n : {0u, 5u, 4u, 0u, 0u, 0u}) append_number(control, n, 4, true);
    append_number(control, 0, 2, true);
    CHECK(decode(with_chunk(with_chunk(encode_png(image), "fcTL", control), "acTL", frames)).data == image.data);
  }
  SUBCASE("broken or enormous text and profiles do not matter") {
    const Image image = photo(5, 4);
    Bytes text;
    append(text, std::string("key\0\0not deflate at all", 22));
    CHECK(decode(with_chunk(encode_png(image), "zTXt", text)).data == image.data);
    CHECK(decode(with_chunk(encode_png(image), "iCCP", text)).data == image.data);
    CHECK(decode(with_chunk(encode_png(image), "tEXt", Bytes(20'000'000, std::byte{'x'}))).data == image.data);
  }
}

TEST_CASE("labels are read without conversion") {
  const TestFolder folder;
  int width = 0, height = 0;
  const auto read = [&](const Bytes& png) {
    write_file(folder / "labels.png", png);
    return read_labels(folder / "labels.png", width, height);
  };
  using Labels = std::vector<uint16_t>;
  CHECK(read(make_png(2, {{0x01, 0x02, 0xFF, 0xFE}}, {.bits = 16, .colour = PNG_COLOR_TYPE_GRAY})) == Labels{0x0102, 0xFFFE});
  CHECK(width == 2);
  CHECK(height == 1);
  CHECK(read(make_png(3, {{0, 7, 255}}, {.colour = PNG_COLOR_TYPE_GRAY})) == Labels{0, 7, 255});
  CHECK(read(make_png(3, {{0b10000100}}, {.bits = 2, .colour = PNG_COLOR_TYPE_PALETTE, .palette = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}})) ==
        Labels{2, 0, 1});
  CHECK(input_message([&] { read(encode_png(photo(3, 3))); }).find("one channel") != std::string::npos);
  CHECK(input_message([&] { read(encode_jpeg(photo(8, 8, 1), 90, false)); }).find("PNG") != std::string::npos);
}

TEST_CASE("EXIF orientation 1 to 8 in PNG, JPEG and WebP") {
  const Image upright = photo(6, 4);
  Image blocks(48, 32);  // 8 x 8 flat blocks survive JPEG
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 48; ++x) blocks.at(c, y, x) = upright.at(c, y / 8, x / 8);
    }
  }
  for (int orientation = 0; orientation <= 9; ++orientation) {
    const int meant = orientation >= 1 && orientation <= 8 ? orientation : 1;
    for (const bool big : {false, true}) {
      CAPTURE(orientation);
      CAPTURE(big);
      const Bytes exif = exif_block(orientation, big);
      const Image turned = stored(upright, meant);
      CHECK(decode(with_chunk(encode_png(turned), "eXIf", exif)).data == upright.data);
      CHECK(decode(extended_webp(turned, turned.width, turned.height, exif, false)).data == upright.data);
      Bytes jpeg = encode_jpeg(stored(blocks, meant), 100, false), marker;
      append(marker, "\xFF\xE1");
      append_number(marker, static_cast<uint32_t>(exif.size() + 8), 2, true);
      append(marker, std::string("Exif\0\0", 6));
      append(marker, exif.data(), exif.size());
      jpeg.insert(jpeg.begin() + 2, marker.begin(), marker.end());
      CHECK(largest_difference(decode(jpeg), blocks) < 4.0f / 255);
    }
  }
  Bytes cut = exif_block(6, true);
  while (!cut.empty()) {  // a cut block is no orientation, and no fault of the picture
    cut.pop_back();
    const Image back = decode(with_chunk(encode_png(upright), "eXIf", cut));
    CHECK((back.width == 6) == (cut.size() < 22));
  }
}

TEST_CASE("an animated WebP shows its first frame on its canvas") {
  const Image image = photo(4, 3);
  const Image canvas = decode(extended_webp(image, 9, 8, {}, true, 2, 4));
  CHECK(canvas.width == 9);
  CHECK(canvas.height == 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 9; ++x) {
      const bool inside = x >= 2 && x < 6 && y >= 4 && y < 7;
      CHECK(canvas.at(1, y, x) == (inside ? image.at(1, y - 4, x - 2) : 0.0f));
    }
  }
}

TEST_CASE("CMYK and YCCK JPEG become RGB") {
  const int width = 16, height = 16;
  std::vector<uint8_t> samples;
  for (int i = 0; i < width * height; ++i) {  // as Adobe stores them: 255 is no ink. flat, so that JPEG keeps them
    for (const int ink : {51, 102, 204, 25}) samples.push_back(static_cast<uint8_t>(255 - ink));
  }
  for (const bool ycck : {false, true}) {
    CAPTURE(ycck);
    const Image image = decode(make_cmyk_jpeg(samples, width, height, ycck));
    for (const auto& [c, ink] : {std::pair{0, 51}, {1, 102}, {2, 204}}) {
      CHECK(image.at(c, 8, 8) == doctest::Approx((255.0 - ink) * (255.0 - 25) / 255 / 255).epsilon(0.02));
    }
  }
}

TEST_CASE("npy holds shape and values as NumPy reads them") {
  const TestFolder folder;
  Image map(3, 2, 1);
  for (int i = 0; i < 6; ++i) map.data[i] = static_cast<float>(i) / 7;
  write_npy(folder / "a.npy", map);
  const std::string file = read_text_file(folder / "a.npy");
  CHECK(file.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t header = static_cast<uint8_t>(file[8]) + 256u * static_cast<uint8_t>(file[9]);
  CHECK((10 + header) % 64 == 0);
  CHECK(file.substr(10, header).starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  CHECK(file[9 + header] == '\n');
  REQUIRE(file.size() == 10 + header + 24);
  CHECK(std::memcmp(file.data() + 10 + header, map.data.data(), 24) == 0);
  write_npy(folder / "b.npy", photo(3, 2));
  CHECK(read_text_file(folder / "b.npy").find("(3, 2, 3)") != std::string::npos);
}
