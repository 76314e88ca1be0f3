// SPDX-License-Identifier: Apache-2.0
// The .npy container, version 1.0: magic, header length, a Python dictionary padded so that the data starts at a multiple of 64.
#include <bit>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/image/io.h"

namespace finpercep {

void write_npy(const std::filesystem::path& path, const Image& image) {
  if (image.width < 1 || image.height < 1 || image.channels < 1) {
    throw usage_error(
        fmt::format("write: {}: expected a picture of at least 1 x 1, found {} x {}", path.string(), image.width, image.height));
  }
  const std::string shape = image.channels == 1 ? fmt::format("({}, {})", image.height, image.width)
                                                : fmt::format("({}, {}, {})", image.channels, image.height, image.width);
  const char order = std::endian::native == std::endian::little ? '<' : '>';
  std::string dictionary = fmt::format("{{'descr': '{}f4', 'fortran_order': False, 'shape': {}, }}", order, shape);
  constexpr std::size_t prefix = 10;
  dictionary.append(63 - (prefix + dictionary.size()) % 64, ' ');
  dictionary += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(dictionary.size() & 0xFF);
  file += static_cast<char>(dictionary.size() >> 8);
  file += dictionary;
  file.append(reinterpret_cast<const char*>(image.data.data()), image.data.size() * sizeof(float));
  write_file(path, file);
}

}  // namespace finpercep
