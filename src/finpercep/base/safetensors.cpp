// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/safetensors_header.h"
#include "finpercep/base/text.h"

namespace finpercep {

static_assert(std::endian::native == std::endian::little, "tensor bytes are copied as they are");

namespace {

using detail::damaged;
using detail::shown;
using detail::text_of;
using Entry = detail::TensorEntry;

constexpr uint64_t kMaxFile = uint64_t{1} << 36;
constexpr std::size_t kDigits = 16;
// Written without spaces. Inside a JSON string the quotes would be escaped, so this sequence can only be a key and its value.
constexpr std::string_view kChecksumKey = "\"checksum\":\"xxh3:";
constexpr std::string_view kZeros = "0000000000000000";

/// Elements of the shape. The product must fit although a zero dimension would hide it: strides are made from it.
bool elements_of(const std::vector<int64_t>& shape, int64_t& elements) {
  int64_t bound = 1;
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bound, std::max<int64_t>(dimension, 1), &bound)) return false;
    empty |= dimension == 0;
  }
  elements = empty ? 0 : bound;
  return true;
}

/// Of the bytes with the digits at `at` taken as zeros.
std::string checksum_of(std::span<const std::byte> bytes, std::size_t at) {
  return hash_of({bytes.first(at), std::as_bytes(std::span(kZeros)), bytes.subspan(at + kDigits)}).substr(std::string_view("xxh3:").size());
}

void verify(std::span<const std::byte> bytes, std::size_t header_size, const std::map<std::string, std::string>& metadata,
            const std::string& where, Checksum demanded) {
  const auto found = metadata.find("checksum");
  const bool ours = found != metadata.end() && found->second.starts_with("xxh3:");
  if (!ours && demanded == Checksum::if_present) return;
  if (!ours) throw damaged(where, "__metadata__.checksum: expected 'xxh3:' and 16 digits, found none");
  const std::string_view header = text_of(bytes, 8, header_size);
  const std::size_t at = header.find(kChecksumKey);
  if (at == std::string_view::npos || found->second.size() != 5 + kDigits || header.size() - at < kChecksumKey.size() + kDigits) {
    throw damaged(where, "__metadata__.checksum: expected the form that FinPercep writes, found another");
  }
  const std::size_t digits = 8 + at + kChecksumKey.size();
  const std::string expected = checksum_of(bytes, digits);
  // Compared as text: a flipped bit may turn a digit 'a' into 'A', which as a number would be the same.
  if (text_of(bytes, digits, kDigits) != expected || found->second.substr(5) != expected) {
    throw damaged(where, fmt::format("checksum: expected {}, found {}", expected, shown(found->second.substr(5))));
  }
}

/// Weights that are not there are exit code 4, as weights that are broken.
template <class Read>
std::vector<std::byte> read_as_model(Read read) {
  try {
    return read();
  } catch (const Error& error) {
    throw model_error(error.what());
  }
}

}  // namespace

TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& where, Checksum checksum) {
  detail::SafetensorsHeader header = detail::parse_header(bytes, where);
  verify(bytes, header.size, header.metadata, where, checksum);

  // In the order of their bytes the tensors must meet without hole or overlap and end with the file.
  std::vector<const Entry*> order;
  for (const auto& [name, entry] : header.entries) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->offsets < b->offsets; });
  const std::size_t data = 8 + header.size;
  const uint64_t data_size = bytes.size() - data;
  uint64_t reached = 0;
  for (const Entry* entry : order) {
    int64_t elements = 0;
    uint64_t size = 0;
    if (!elements_of(entry->shape, elements) || __builtin_mul_overflow(static_cast<uint64_t>(elements), byte_size(entry->dtype), &size)) {
      throw damaged(where, fmt::format("{}: shape: the product of the dimensions overflows", shown(entry->name)));
    }
    const uint64_t begin = entry->offsets[0], end = entry->offsets[1];
    if (begin != reached || end < begin || end - begin != size) {
      throw damaged(where, fmt::format("{}: data_offsets: expected [{}, {}], found [{}, {}]", shown(entry->name), reached, reached + size,
                                       begin, end));
    }
    if (end > data_size)
      throw damaged(where, fmt::format("{}: data: expected {} bytes, found only {}", shown(entry->name), end, data_size));
    reached = end;
  }
  if (reached != data_size) throw damaged(where, fmt::format("data: expected {} bytes, found {}", reached, data_size));

  TensorFile file;
  file.metadata = std::move(header.metadata);
  for (const Entry* entry : order) {
    const auto values = bytes.subspan(data + entry->offsets[0], entry->offsets[1] - entry->offsets[0]);
    TensorData tensor{entry->dtype, entry->shape, {values.begin(), values.end()}};
    if (entry->dtype == DType::boolean &&
        std::any_of(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte b) { return b > std::byte{1}; })) {
      throw damaged(where, fmt::format("{}: expected booleans 0 and 1, found another byte", shown(entry->name)));
    }
    file.tensors.emplace(entry->name, std::move(tensor));
  }
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path, Checksum checksum) {
  return parse_safetensors(read_as_model([&] { return read_file(path, kMaxFile); }), path.string(), checksum);
}

std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path) {
  const std::string where = path.string();
  const uint64_t size = detail::header_size(read_as_model([&] { return read_file_start(path, 64); }), where);
  return detail::parse_header(read_as_model([&] { return read_file_start(path, 8 + size); }), where).metadata;
}

const std::string& metadata_of(const TensorFile& file, const std::string& key, const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) throw model_error(fmt::format("model: {}: expected metadata '{}', found none", where, key));
  return found->second;
}

template <class Number>
Number metadata_number(const TensorFile& file, const std::string& key, const std::string& where) {
  const std::string& text = metadata_of(file, key, where);
  const auto number = parse_number<Number>(text);
  if (!number) throw model_error(fmt::format("model: {}: metadata '{}': expected a number, found '{}'", where, key, shown(text)));
  return *number;
}
template int64_t metadata_number<int64_t>(const TensorFile&, const std::string&, const std::string&);
template double metadata_number<double>(const TensorFile&, const std::string&, const std::string&);

std::vector<std::byte> encode_safetensors(const TensorFile& file) {
  const auto quoted = [](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      throw model_error(fmt::format("safetensors: encode: name or metadata '{}': expected UTF-8", shown(text)));
    }
  };
  // The reference's order: widest elements first, so that every tensor is aligned to its element; then by name.
  std::vector<const std::pair<const std::string, TensorData>*> order;
  for (const auto& item : file.tensors) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return byte_size(a->second.dtype) > byte_size(b->second.dtype); });

  std::string header = fmt::format("{{\"__metadata__\":{{\"checksum\":\"xxh3:{}\"", kZeros);
  const std::size_t digits = 8 + header.size() - 1 - kDigits;
  for (const auto& [key, value] : file.metadata) {
    if (key != "checksum") header += fmt::format(",{}:{}", quoted(key), quoted(value));
  }
  header += '}';
  uint64_t reached = 0;
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    int64_t elements = 0;
    if (name == "__metadata__") throw model_error("safetensors: encode: a tensor cannot be named __metadata__");
    if (!elements_of(tensor.shape, elements) || static_cast<uint64_t>(elements) > tensor.bytes.size() ||
        static_cast<uint64_t>(elements) * byte_size(tensor.dtype) != tensor.bytes.size()) {
      throw model_error(fmt::format("safetensors: encode: {}: its {} bytes do not fit its shape and {}", shown(name), tensor.bytes.size(),
                                    name_of(tensor.dtype)));
    }
    header += fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", quoted(name), name_of(tensor.dtype),
                          fmt::join(tensor.shape, ","), reached, reached + tensor.bytes.size());
    reached += tensor.bytes.size();
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');  // data start 8-byte aligned
  if (header.size() > detail::max_header)
    throw model_error(fmt::format("safetensors: encode: header of {} bytes, at most {} are allowed", header.size(), detail::max_header));

  std::vector<std::byte> bytes;
  bytes.reserve(8 + header.size() + reached);
  const uint64_t header_size = header.size();
  const auto append = [&bytes](const void* from, std::size_t count) {
    const auto* first = static_cast<const std::byte*>(from);
    bytes.insert(bytes.end(), first, first + count);
  };
  append(&header_size, 8);
  append(header.data(), header.size());
  for (const auto* item : order) append(item->second.bytes.data(), item->second.bytes.size());
  const std::string sum = checksum_of(bytes, digits);
  std::memcpy(bytes.data() + digits, sum.data(), kDigits);
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) { write_file(path, encode_safetensors(file)); }

}  // namespace finpercep
