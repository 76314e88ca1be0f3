// SPDX-License-Identifier: Apache-2.0
// The part of POSIX ustar that WebDataset shards use: regular files with short names, no links, fixed times, so equal content is equal bytes.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace finpercep {

struct TarEntry {
  std::string name;
  std::vector<std::byte> bytes;
};

/// Names of at most 100 characters.
std::vector<std::byte> encode_tar(const std::vector<TarEntry>& entries);

/// Checks every header's checksum and every size against the file. input_error naming `where` for anything else than regular files, or a cut file.
std::vector<TarEntry> parse_tar(std::span<const std::byte> bytes, const std::string& where);

}  // namespace finpercep
