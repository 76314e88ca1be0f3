// SPDX-License-Identifier: Apache-2.0
// The safetensors container (huggingface/safetensors): 8-byte little-endian header length, JSON header, tensor bytes.
// On top of the format, files we write carry in `__metadata__` a "checksum" over header and data, so no flipped bit loads silently.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace finpercep {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
std::size_t byte_size(DType type);
const char* name_of(DType type);  ///< "F32", .. as in the file

struct TensorData {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;  ///< little endian, row major
};

struct TensorFile {
  std::map<std::string, TensorData> tensors;
  std::map<std::string, std::string> metadata;
};

/// What a reader demands of the checksum.
enum class Checksum {
  required,    ///< our own checkpoints: absent or wrong is an error
  if_present,  ///< files made elsewhere: verified where there is one
};

/// Bounded header (100,000,000 bytes, as the reference), strict offsets: in range, contiguous, covering the file, no overlap, shape product
/// checked against overflow, known dtype, no duplicate names. Throws model_error naming the file and the field.
TensorFile read_safetensors(const std::filesystem::path& path, Checksum checksum);
/// The same on bytes in memory; `where` names them in errors. (What the fuzzer calls.)
TensorFile parse_safetensors(std::vector<std::byte> bytes, const std::string& where, Checksum checksum);
/// Atomic and durable (write_file); adds the checksum.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);
std::vector<std::byte> encode_safetensors(const TensorFile& file);

}  // namespace finpercep
