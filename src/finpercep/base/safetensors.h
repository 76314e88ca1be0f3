// SPDX-License-Identifier: Apache-2.0
// The safetensors container (huggingface/safetensors): 8-byte little-endian header length, JSON header, tensor bytes.
// On top of the format, files we write carry in `__metadata__` a "checksum" over header and data, so no flipped bit loads silently.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
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
TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& where, Checksum checksum);
/// The metadata alone, from the header alone: that is checked in itself, the tensors' places and bytes and the checksum are not looked at.
/// Throws model_error as read_safetensors does.
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);
/// One entry of the metadata; model_error naming `where` and the key if there is none.
const std::string& metadata_of(const TensorFile& file, const std::string& key, const std::string& where);
/// The same as an int64_t or double; model_error for other text too.
template <class Number>
Number metadata_number(const TensorFile& file, const std::string& key, const std::string& where);
/// Atomic and durable (write_file); adds the checksum.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);
std::vector<std::byte> encode_safetensors(const TensorFile& file);

}  // namespace finpercep
