// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "finpercep/image/codecs.h"

namespace finpercep::codec {

int exif_orientation(std::span<const std::byte> block) {
  if (block.size() >= 6 && std::memcmp(block.data(), "Exif\0\0", 6) == 0) block = block.subspan(6);
  if (block.size() < 8) return 1;
  const bool little = std::memcmp(block.data(), "II*\0", 4) == 0;
  if (!little && std::memcmp(block.data(), "MM\0*", 4) != 0) return 1;
  const auto number = [&](uint64_t at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value |= std::to_integer<uint64_t>(block[at + i]) << 8 * (little ? i : size - 1 - i);
    return value;
  };
  const uint64_t directory = number(4, 4);
  if (directory + 2 > block.size()) return 1;
  const uint64_t count = number(directory, 2);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t entry = directory + 2 + i * 12;  // tag, type, count, value
    if (entry + 12 > block.size()) return 1;
    constexpr uint64_t orientation_tag = 0x0112, short_type = 3;
    if (number(entry, 2) != orientation_tag) continue;
    const uint64_t value = number(entry + 8, 2);
    return number(entry + 2, 2) == short_type && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image apply_orientation(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposed = orientation >= 5;
  Image upright(transposed ? image.height : image.width, transposed ? image.width : image.height, image.channels);
  // The value says where the stored first row and column lie: 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top,
  // 7 right bottom, 8 left bottom. So flip what is read, after the swap of the axes.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int c = 0; c < image.channels; ++c) {
    for (int y = 0; y < upright.height; ++y) {
      float* out = upright.plane(c) + static_cast<std::size_t>(y) * upright.width;
      for (int x = 0; x < upright.width; ++x) {
        const int column = transposed ? y : x, row = transposed ? x : y;
        out[x] = image.at(c, flip_y ? image.height - 1 - row : row, flip_x ? image.width - 1 - column : column);
      }
    }
  }
  return upright;
}

}  // namespace finpercep::codec
