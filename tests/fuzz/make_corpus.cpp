// SPDX-License-Identifier: Apache-2.0
// make_corpus DIR: some small sound files of each kind, for the fuzzers to start from.
#include <cmath>
#include <cstring>
#include <filesystem>

#include "finpercep/base/files.h"
#include "finpercep/base/safetensors.h"
#include "finpercep/fgr/tar.h"
#include "finpercep/image/io.h"

using namespace finpercep;

int main(int, char** arguments) {
  const std::filesystem::path root = arguments[1];
  for (const char* kind : {"image", "masks", "safetensors", "tar", "ncnn"}) std::filesystem::create_directories(root / kind);
  for (const int channels : {1, 3}) {
    Image image(19, 13, channels);
    for (std::size_t i = 0; i < image.data.size(); ++i)
      image.data[i] = static_cast<float>(0.5 + 0.5 * std::sin(0.7 * static_cast<double>(i)));
    const std::string name = std::to_string(channels);
    write_file(root / "image" / (name + ".png"), encode_png(image));
    write_file(root / "image" / (name + ".jpg"), encode_jpeg(image, 80, true));
    write_file(root / "image" / (name + ".webp"), encode_webp_lossless(image));
  }
  // The smallest colour profile that libpng takes: a header, with D50 as its white, and no tags.
  std::string profile(132, '\0');
  for (const auto& [at, text] : std::initializer_list<std::pair<std::size_t, std::string>>{
           {3, "\x84"}, {12, "mntrRGB XYZ "}, {36, "acsp"}, {68, std::string("\0\0\xF6\xD6\0\1\0\0\0\0\xD3\x2D", 12)}})
    profile.replace(at, text.size(), text);
  write_file(root / "image" / "profile.png", encode_png(Image(5, 3, 3), std::as_bytes(std::span(profile))));
  // A gray TIFF of 4 x 2, one strip.
  const uint16_t tags[][2] = {{256, 4}, {257, 2}, {258, 8}, {259, 1}, {262, 1}, {273, 122}, {277, 1}, {278, 2}, {279, 8}};
  std::string tiff("II*\0\x08\0\0\0\x09\0", 10);
  for (const auto& [tag, value] : tags) {
    const uint16_t entry[] = {tag, 3, 1, 0, value, 0};
    tiff.append(reinterpret_cast<const char*>(entry), sizeof entry);
  }
  write_file(root / "image" / "gray.tif", tiff + std::string(4, '\0') + "abcdefgh");

  const std::string size = R"("size": [40, 60], "counts": )";
  write_file(root / "masks" / "list.json", R"([{"segmentation": {)" + size + "[695, 1, 1704]}, \"area\": 1}]");
  write_file(
      root / "masks" / "object.json",
      R"({"image": {"width": 5}, "annotations": [{"segmentation": {"size": [7, 5], "counts": "S1"}}, {"segmentation": {"size": [7, 5], "counts": "0S1"}}]})");
  write_file(root / "masks" / "counts.txt", std::string("i`01S18J4M2N2N2N2O0O2O00000O20N1000001N101N2N2N2N3L6H"));

  TensorFile file;
  file.metadata["format"] = "finpercep-1";
  file.tensors["a.weight"] = {DType::f32, {2, 3}, std::vector<std::byte>(24)};
  file.tensors["b"] = {DType::boolean, {}, std::vector<std::byte>(1)};
  file.tensors["empty"] = {DType::f16, {0, 4}, {}};
  write_file(root / "safetensors" / "small.safetensors", encode_safetensors(file));
  write_file(root / "tar" / "two.tar",
             encode_tar({{"0001.json", std::vector<std::byte>(5, std::byte{'x'})}, {"0001.png", std::vector<std::byte>(700)}}));

  const std::string graph =
      "7767517\n4 5\nInput in 0 1 a\nSplit s 1 2 a b c\nConvolution k 1 1 b d 0=1 1=1 5=1 6=2 9=2 -23310=1,2.0e-01\nPReLU p 1 1 d e 0=1\n";
  write_file(root / "ncnn" / "f16", graph + std::string("\0\x47\x6B\x30\x01\0\x3C\0\x3C\0\0\x80\x3F\0\0\x80\x3F", 17));
  write_file(root / "ncnn" / "f32", graph + std::string(21, '\0'));
}
