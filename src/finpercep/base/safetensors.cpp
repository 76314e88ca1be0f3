// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"

namespace finpercep {

static_assert(std::endian::native == std::endian::little, "tensor bytes are copied as they are");

namespace {

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr uint64_t kMaxFile = uint64_t{1} << 36;
constexpr std::size_t kDigits = 16;
// Written without spaces. Inside a JSON string the quotes would be escaped, so this sequence can only be a key and its value.
constexpr std::string_view kChecksumKey = "\"checksum\":\"xxh3:";
constexpr std::string_view kZeros = "0000000000000000";

constexpr std::pair<DType, const char*> kNames[] = {
    {DType::f64, "F64"}, {DType::f32, "F32"}, {DType::f16, "F16"}, {DType::bf16, "BF16"}, {DType::i64, "I64"},
    {DType::i32, "I32"}, {DType::i16, "I16"}, {DType::i8, "I8"},   {DType::u8, "U8"},     {DType::boolean, "BOOL"},
};

std::string shown(const std::string& text) { return text.size() <= 80 ? text : text.substr(0, 77) + "..."; }

Error bad(const std::string& where, const std::string& problem) {
  return model_error(
      fmt::format("safetensors: {}: {}. the file is damaged or was not written as safetensors: make or download it again", where, problem));
}

struct Entry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

/// Takes the header apart event by event: a tree of JSON values would hide duplicate names, and would cost memory and
/// depth as the file likes.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& where) : where_(where) {}
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { throw unexpected("null"); }
  bool boolean(bool) override { throw unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override { throw unexpected(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { throw unexpected(shown(text)); }
  bool binary(binary_t&) override { throw unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) throw unexpected(fmt::format("{}", value));
    if (field_ == "shape") {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) throw unexpected(fmt::format("{}", value));
      entry_->shape.push_back(static_cast<int64_t>(value));
    } else {
      entry_->offsets.push_back(value);
    }
    return true;
  }

  bool string(string_t& value) override {
    if (in_metadata_ && depth_ == 2) {
      metadata[field_] = std::move(value);
      return true;
    }
    if (!entry_ || in_list_ || field_ != "dtype") throw unexpected("'" + shown(value) + "'");
    for (const auto& [type, name] : kNames) {
      if (value == name) {
        entry_->dtype = type;
        return true;
      }
    }
    throw model_error(
        fmt::format("safetensors: {}: {}: dtype: expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL, found '{}'. "
                    "convert the tensor to one of these",
                    where_, shown(entry_->name), shown(value)));
  }

  bool start_object(std::size_t) override {
    if (in_list_ || depth_ >= 2) throw unexpected("an object");
    if (depth_ == 1) {
      in_metadata_ = field_ == "__metadata__";
      if (!in_metadata_) {
        entry_ = &entries[field_];
        entry_->name = field_;
      }
    }
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1) {
      if (entry_ && !(entry_->has_dtype && entry_->has_shape && entry_->has_offsets)) {
        const char* field = !entry_->has_dtype ? "dtype" : !entry_->has_shape ? "shape" : "data_offsets";
        throw bad(where_, fmt::format("{}: {}: expected, found nothing", shown(entry_->name), field));
      }
      entry_ = nullptr;
      in_metadata_ = false;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (!entry_ || in_list_ || (field_ != "shape" && field_ != "data_offsets")) throw unexpected("a list");
    in_list_ = true;
    return true;
  }

  bool end_array() override {
    in_list_ = false;
    if (field_ == "data_offsets" && entry_->offsets.size() != 2) {
      throw bad(where_, fmt::format("{}: data_offsets: expected 2 numbers, found {}", shown(entry_->name), entry_->offsets.size()));
    }
    return true;
  }

  bool key(string_t& name) override {
    field_ = std::move(name);
    if (depth_ == 1) {
      const bool again = field_ == "__metadata__" ? std::exchange(seen_metadata_, true) : entries.count(field_) > 0;
      if (again) throw bad(where_, fmt::format("{}: expected one tensor of that name, found two", shown(field_)));
    } else if (in_metadata_) {
      if (metadata.count(field_)) throw bad(where_, fmt::format("__metadata__.{}: expected once, found twice", shown(field_)));
      metadata[field_];
    } else {
      bool* has = field_ == "dtype"          ? &entry_->has_dtype
                  : field_ == "shape"        ? &entry_->has_shape
                  : field_ == "data_offsets" ? &entry_->has_offsets
                                             : nullptr;
      if (!has)
        throw bad(where_, fmt::format("{}: expected dtype, shape and data_offsets, found '{}'", shown(entry_->name), shown(field_)));
      if (std::exchange(*has, true)) throw bad(where_, fmt::format("{}: {}: expected once, found twice", shown(entry_->name), field_));
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw bad(where_, fmt::format("header: expected UTF-8 JSON, found something else at byte {}", 8 + position));
  }

 private:
  Error unexpected(const std::string& found) const {
    const std::string place = entry_         ? shown(entry_->name) + ": " + field_
                              : in_metadata_ ? "__metadata__." + shown(field_)
                              : depth_ > 0   ? shown(field_)
                                             : "header";
    const char* expected = in_metadata_        ? "text"
                           : !entry_           ? "an object"
                           : field_ == "dtype" ? "the name of a number format"
                                               : "a list of whole numbers from 0";
    return bad(where_, fmt::format("{}: expected {}, found {}", place, expected, found));
  }

  const std::string& where_;
  Entry* entry_ = nullptr;
  std::string field_;
  int depth_ = 0;
  bool in_metadata_ = false, in_list_ = false, seen_metadata_ = false;
};

std::string_view text_of(const std::vector<std::byte>& bytes, std::size_t from, std::size_t count) {
  return {reinterpret_cast<const char*>(bytes.data()) + from, count};
}

/// What a file that is no safetensors file looks like, judged by its first bytes.
Error wrong_kind(const std::vector<std::byte>& bytes, const std::string& where, const std::string& problem) {
  using namespace std::string_view_literals;
  const std::string_view head = text_of(bytes, 0, std::min<std::size_t>(bytes.size(), 64));
  const auto looks_like = [&](const char* kind, const char* advice) {
    return model_error(fmt::format("safetensors: {}: expected a safetensors file, found what looks like {}. {}", where, kind, advice));
  };
  const char* convert =
      "it is never unpickled here: tools/fetch_weights.py and tools/convert_weights.py convert published weights; what `finpercep export` "
      "wrote is for Python, give the .safetensors";
  if (head.empty()) return looks_like("an empty file", "download it again");
  if (head.starts_with("PK\x03\x04"sv)) return looks_like("a zip archive (a PyTorch .pt or .pth file?)", convert);
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return looks_like("a Python pickle (an old PyTorch .pt or .pth file?)", convert);
  if (head.starts_with("\x7f"
                       "ELF"sv))
    return looks_like("an ELF program or library", "give a safetensors file");
  if (head.starts_with("GGUF"sv)) return looks_like("a GGUF file", "give a safetensors file");
  if (head.starts_with("\x89HDF"sv)) return looks_like("an HDF5 file", "give a safetensors file");
  if (head.starts_with("\x1f\x8b"sv)) return looks_like("a gzip archive", "unpack it first");
  if (head.starts_with("version https://git-lfs"sv)) return looks_like("a git-lfs pointer", "run `git lfs pull`");
  if (head.starts_with("<"sv)) return looks_like("a web page", "the download failed; download it again");
  return bad(where, problem);
}

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

/// XXH3-64 of the bytes with the digits at `at` taken as zeros.
std::string checksum_of(const std::vector<std::byte>& bytes, std::size_t at) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), bytes.data(), at);
  XXH3_64bits_update(state.get(), kZeros.data(), kDigits);
  XXH3_64bits_update(state.get(), bytes.data() + at + kDigits, bytes.size() - at - kDigits);
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

void verify(const std::vector<std::byte>& bytes, std::size_t header_size, const std::map<std::string, std::string>& metadata,
            const std::string& where, Checksum demanded) {
  const auto found = metadata.find("checksum");
  const bool ours = found != metadata.end() && found->second.starts_with("xxh3:");
  if (!ours && demanded == Checksum::if_present) return;
  if (!ours) throw bad(where, "__metadata__.checksum: expected 'xxh3:' and 16 digits, found none");
  const std::string_view header = text_of(bytes, 8, header_size);
  const std::size_t at = header.find(kChecksumKey);
  if (at == std::string_view::npos || found->second.size() != 5 + kDigits || header.size() - at < kChecksumKey.size() + kDigits) {
    throw bad(where, "__metadata__.checksum: expected the form that FinPercep writes, found another");
  }
  const std::size_t digits = 8 + at + kChecksumKey.size();
  const std::string expected = checksum_of(bytes, digits);
  // Compared as text: a flipped bit may turn a digit 'a' into 'A', which as a number would be the same.
  if (text_of(bytes, digits, kDigits) != expected || found->second.substr(5) != expected) {
    throw bad(where, fmt::format("checksum: expected {}, found {}", expected, shown(found->second.substr(5))));
  }
}

}  // namespace

std::size_t byte_size(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  throw Error(ExitCode::internal, "safetensors: byte_size: unknown dtype");
}

const char* name_of(DType type) {
  for (const auto& [known, name] : kNames) {
    if (known == type) return name;
  }
  throw Error(ExitCode::internal, "safetensors: name_of: unknown dtype");
}

TensorFile parse_safetensors(std::vector<std::byte> bytes, const std::string& where, Checksum checksum) {
  uint64_t header_size = 0;
  if (bytes.size() < 8) throw wrong_kind(bytes, where, fmt::format("expected at least 8 bytes, found {}", bytes.size()));
  std::memcpy(&header_size, bytes.data(), 8);
  const uint64_t room = bytes.size() - 8;
  if (header_size > kMaxHeader)
    throw wrong_kind(bytes, where, fmt::format("header: expected at most {} bytes, found {}", kMaxHeader, header_size));
  if (header_size > room) throw wrong_kind(bytes, where, fmt::format("header: expected {} bytes, found only {}", header_size, room));
  if (header_size < 2 || bytes[8] != std::byte{'{'}) throw wrong_kind(bytes, where, "header: expected JSON that begins with '{'");

  HeaderReader header(where);
  const std::string_view text = text_of(bytes, 8, header_size);
  nlohmann::json::sax_parse(text.begin(), text.end(), &header);
  verify(bytes, header_size, header.metadata, where, checksum);

  // In the order of their bytes the tensors must meet without hole or overlap and end with the file.
  std::vector<const Entry*> order;
  for (const auto& [name, entry] : header.entries) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->offsets < b->offsets; });
  const std::size_t data = 8 + header_size;
  const uint64_t data_size = bytes.size() - data;
  uint64_t reached = 0;
  for (const Entry* entry : order) {
    int64_t elements = 0;
    uint64_t size = 0;
    if (!elements_of(entry->shape, elements) || __builtin_mul_overflow(static_cast<uint64_t>(elements), byte_size(entry->dtype), &size)) {
      throw bad(where, fmt::format("{}: shape: the product of the dimensions overflows", shown(entry->name)));
    }
    const uint64_t begin = entry->offsets[0], end = entry->offsets[1];
    if (begin != reached || end < begin || end - begin != size) {
      throw bad(where, fmt::format("{}: data_offsets: expected [{}, {}], found [{}, {}]", shown(entry->name), reached, reached + size,
                                   begin, end));
    }
    if (end > data_size) throw bad(where, fmt::format("{}: data: expected {} bytes, found only {}", shown(entry->name), end, data_size));
    reached = end;
  }
  if (reached != data_size) throw bad(where, fmt::format("data: expected {} bytes, found {}", reached, data_size));

  TensorFile file;
  file.metadata = std::move(header.metadata);
  for (const Entry* entry : order) {
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(data + entry->offsets[0]);
    TensorData tensor{entry->dtype, entry->shape, {first, first + static_cast<std::ptrdiff_t>(entry->offsets[1] - entry->offsets[0])}};
    if (entry->dtype == DType::boolean &&
        std::any_of(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte b) { return b > std::byte{1}; })) {
      throw bad(where, fmt::format("{}: expected booleans 0 and 1, found another byte", shown(entry->name)));
    }
    file.tensors.emplace(entry->name, std::move(tensor));
  }
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path, Checksum checksum) {
  std::vector<std::byte> bytes;
  try {
    bytes = read_file(path, kMaxFile);
  } catch (const Error& error) {
    throw model_error(error.what());  // weights that are not there are exit code 4, as weights that are broken
  }
  return parse_safetensors(std::move(bytes), path.string(), checksum);
}

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
  if (header.size() > kMaxHeader)
    throw model_error(fmt::format("safetensors: encode: header of {} bytes, at most {} are allowed", header.size(), kMaxHeader));

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
