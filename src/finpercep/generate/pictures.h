// SPDX-License-Identifier: Apache-2.0
// SR pictures made elsewhere: a folder in which each photograph's SR has the photograph's name and size.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "finpercep/image.h"

namespace finpercep {

class PictureFolder {
 public:
  /// input_error: no folder, no picture in it, two pictures with one stem.
  explicit PictureFolder(const std::filesystem::path& folder);

  std::size_t size() const { return files_.size(); }
  bool contains(const std::string& stem) const { return files_.contains(stem); }

  /// What is wrong with the picture for `stem` as far as names and headers tell; "" for nothing. For a check of many before the work
  /// begins.
  std::string fault(const std::string& stem, int width, int height) const;
  /// The picture; input_error when there is none, it cannot be read or it has another size.
  Image find(const std::string& stem, int width, int height) const;

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::filesystem::path> files_;
};

}  // namespace finpercep
