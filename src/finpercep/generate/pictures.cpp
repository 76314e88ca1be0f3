// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/pictures.h"

#include <fmt/format.h>

#include <fstream>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"

namespace finpercep {

namespace {

constexpr std::streamsize header_bytes = 1 << 16;  // a JPEG's size may stand behind an EXIF block of nearly that

std::string missing(const std::filesystem::path& folder, const std::string& stem) {
  return fmt::format("{}: expected a picture named '{}', found none. each photograph needs its SR under its own name", folder.string(),
                     stem);
}

std::string wrong_size(const std::filesystem::path& file, int64_t width, int64_t height, int64_t found_width, int64_t found_height) {
  return fmt::format(
      "{}: expected {} x {} as its photograph, found {} x {}. make SR pictures of the photograph's size; where photos.max_side "
      "made that smaller, raise it",
      file.string(), width, height, found_width, found_height);
}

}  // namespace

PictureFolder::PictureFolder(const std::filesystem::path& folder) : folder_(folder) {
  std::error_code none;
  if (!std::filesystem::is_directory(folder, none))
    throw input_error(fmt::format("pictures: {}: expected a folder of SR pictures, found none", folder.string()));
  for (const auto& file : list_images({folder.string()})) {
    const auto [known, fresh] = files_.emplace(file.stem().string(), file);
    if (!fresh)
      throw input_error(fmt::format("pictures: {}: expected one picture of that stem, found {} as well. remove one", file.string(),
                                    known->second.filename().string()));
  }
}

std::string PictureFolder::fault(const std::string& stem, int width, int height) const {
  const auto found = files_.find(stem);
  if (found == files_.end()) return missing(folder_, stem);
  std::vector<char> start(header_bytes);
  std::ifstream file(found->second, std::ios::binary);
  file.read(start.data(), header_bytes);
  const PictureInfo info = probe_image(std::as_bytes(std::span(start.data(), static_cast<std::size_t>(file.gcount()))));
  // A header that cannot be read here, or a turned picture, is judged when it is decoded.
  const bool fits = info.width == width && info.height == height, turned = info.width == height && info.height == width;
  return info.width == 0 || fits || turned ? "" : wrong_size(found->second, width, height, info.width, info.height);
}

Image PictureFolder::find(const std::string& stem, int width, int height) const {
  const auto found = files_.find(stem);
  if (found == files_.end()) throw input_error("pictures: " + missing(folder_, stem));
  Image image = read_image(found->second);
  if (image.width != width || image.height != height)
    throw input_error("pictures: " + wrong_size(found->second, width, height, image.width, image.height));
  return image;
}

}  // namespace finpercep
