// SPDX-License-Identifier: Apache-2.0
// Private to base/safetensors: the JSON that a safetensors file begins with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/safetensors.h"

namespace finpercep::detail {

constexpr uint64_t max_header = 100'000'000;

struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

struct SafetensorsHeader {
  uint64_t size = 0;  ///< of the JSON, bytes; it begins at byte 8
  std::map<std::string, TensorEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// The size that the file's first 8 bytes give. model_error where they are fewer or it is above max_header; it says what the file looks
/// like, for which `bytes` should have 64 or the whole file.
uint64_t header_size(std::span<const std::byte> bytes, const std::string& where);
/// Of bytes that reach at least to the header's end: its names, number formats, shapes and offsets are those of the format, nothing is
/// there twice. What the offsets point to is not looked at. model_error else.
SafetensorsHeader parse_header(std::span<const std::byte> bytes, const std::string& where);

std::string_view text_of(std::span<const std::byte> bytes, std::size_t from, std::size_t count);
std::string shown(const std::string& text);  ///< cut to what an error message can hold
Error damaged(const std::string& where, const std::string& problem);

}  // namespace finpercep::detail
