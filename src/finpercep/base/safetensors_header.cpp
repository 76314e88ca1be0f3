// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace finpercep {
namespace {

using detail::damaged;
using detail::shown;
using Entry = detail::TensorEntry;

constexpr std::pair<DType, const char*> kNames[] = {
    {DType::f64, "F64"}, {DType::f32, "F32"}, {DType::f16, "F16"}, {DType::bf16, "BF16"}, {DType::i64, "I64"},
    {DType::i32, "I32"}, {DType::i16, "I16"}, {DType::i8, "I8"},   {DType::u8, "U8"},     {DType::boolean, "BOOL"},
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
        throw damaged(where_, fmt::format("{}: {}: expected, found nothing", shown(entry_->name), field));
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
      throw damaged(where_, fmt::format("{}: data_offsets: expected 2 numbers, found {}", shown(entry_->name), entry_->offsets.size()));
    }
    return true;
  }

  bool key(string_t& name) override {
    field_ = std::move(name);
    if (depth_ == 1) {
      const bool again = field_ == "__metadata__" ? std::exchange(seen_metadata_, true) : entries.count(field_) > 0;
      if (again) throw damaged(where_, fmt::format("{}: expected one tensor of that name, found two", shown(field_)));
    } else if (in_metadata_) {
      if (metadata.count(field_)) throw damaged(where_, fmt::format("__metadata__.{}: expected once, found twice", shown(field_)));
      metadata[field_];
    } else {
      bool* has = field_ == "dtype"          ? &entry_->has_dtype
                  : field_ == "shape"        ? &entry_->has_shape
                  : field_ == "data_offsets" ? &entry_->has_offsets
                                             : nullptr;
      if (!has)
        throw damaged(where_, fmt::format("{}: expected dtype, shape and data_offsets, found '{}'", shown(entry_->name), shown(field_)));
      if (std::exchange(*has, true)) throw damaged(where_, fmt::format("{}: {}: expected once, found twice", shown(entry_->name), field_));
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw damaged(where_, fmt::format("header: expected UTF-8 JSON, found something else at byte {}", 8 + position));
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
    return damaged(where_, fmt::format("{}: expected {}, found {}", place, expected, found));
  }

  const std::string& where_;
  Entry* entry_ = nullptr;
  std::string field_;
  int depth_ = 0;
  bool in_metadata_ = false, in_list_ = false, seen_metadata_ = false;
};

/// What a file that is no safetensors file looks like, judged by its first bytes.
Error wrong_kind(std::span<const std::byte> bytes, const std::string& where, const std::string& problem) {
  using namespace std::string_view_literals;
  const std::string_view head = detail::text_of(bytes, 0, std::min<std::size_t>(bytes.size(), 64));
  const auto looks_like = [&](const char* kind, const char* advice) {
    return model_error(fmt::format("safetensors: {}: expected a safetensors file, found what looks like {}. {}", where, kind, advice));
  };
  const char* convert =
      "it is never unpickled here: tools/fetch_weights.py and tools/convert_weights.py convert published weights; what `finpercep export` "
      "wrote is for Python, give the .safetensors. a reward of your own makes examples/coevolve.py pay";
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
  return damaged(where, problem);
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
  throw internal_error("safetensors: byte_size: unknown dtype");
}

const char* name_of(DType type) {
  for (const auto& [known, name] : kNames) {
    if (known == type) return name;
  }
  throw internal_error("safetensors: name_of: unknown dtype");
}

namespace detail {

std::string shown(const std::string& text) { return text.size() <= 80 ? text : text.substr(0, 77) + "..."; }

Error damaged(const std::string& where, const std::string& problem) {
  return model_error(
      fmt::format("safetensors: {}: {}. the file is damaged or was not written as safetensors: make or download it again", where, problem));
}

std::string_view text_of(std::span<const std::byte> bytes, std::size_t from, std::size_t count) {
  return {reinterpret_cast<const char*>(bytes.data()) + from, count};
}

uint64_t header_size(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < 8) throw wrong_kind(bytes, where, fmt::format("expected at least 8 bytes, found {}", bytes.size()));
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  if (size > max_header) throw wrong_kind(bytes, where, fmt::format("header: expected at most {} bytes, found {}", max_header, size));
  return size;
}

SafetensorsHeader parse_header(std::span<const std::byte> bytes, const std::string& where) {
  const uint64_t size = header_size(bytes, where), room = bytes.size() - 8;
  if (size > room) throw wrong_kind(bytes, where, fmt::format("header: expected {} bytes, found only {}", size, room));
  if (size < 2 || bytes[8] != std::byte{'{'}) throw wrong_kind(bytes, where, "header: expected JSON that begins with '{'");
  HeaderReader reader(where);
  const std::string_view text = text_of(bytes, 8, size);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return {size, std::move(reader.entries), std::move(reader.metadata)};
}

}  // namespace detail

}  // namespace finpercep
