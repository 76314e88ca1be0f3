// SPDX-License-Identifier: Apache-2.0
// The part of POSIX ustar that WebDataset shards use: regular files with short names, no links, fixed times, so equal content is equal
// bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "finpercep/base/files.h"

namespace finpercep {

struct TarEntry {
  std::string name;
  std::vector<std::byte> bytes;
};

/// Names of at most 100 characters.
std::vector<std::byte> encode_tar(const std::vector<TarEntry>& entries);

/// Where an entry's bytes lie in the file.
struct TarPlace {
  std::string name;
  uint64_t offset = 0, size = 0;
};

/// A tar of which single entries are read. Thread safe.
class TarReader {
 public:
  /// input_error for a file that cannot be opened.
  explicit TarReader(const std::filesystem::path& path);
  /// Every entry, from the headers alone: every header's checksum and every size are checked against the file. input_error naming the file
  /// for anything else than regular files, or a cut file.
  std::vector<TarPlace> list() const;
  std::vector<std::byte> read(const TarPlace& place) const;
  const std::string& where() const { return where_; }

 private:
  std::shared_ptr<const Descriptor> file_;  // closed with the last copy
  std::string where_;
};

}  // namespace finpercep
