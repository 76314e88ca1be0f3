// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/safetensors.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/random.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;

namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 37 + size);
  return bytes;
}

TensorFile example() {
  TensorFile file;
  file.tensors["conv.weight"] = {DType::f32, {2, 3, 5}, pattern(120)};
  file.tensors["a.scalar"] = {DType::f64, {}, pattern(8)};
  file.tensors["half"] = {DType::f16, {3}, pattern(6)};
  file.tensors["brain"] = {DType::bf16, {1, 5}, pattern(10)};
  file.tensors["step"] = {DType::i64, {1}, pattern(8)};
  file.tensors["i32"] = {DType::i32, {2}, pattern(8)};
  file.tensors["i16"] = {DType::i16, {3}, pattern(6)};
  file.tensors["i8"] = {DType::i8, {5}, pattern(5)};
  file.tensors["u8"] = {DType::u8, {7}, pattern(7)};
  file.tensors["mask"] = {DType::boolean, {3}, {std::byte{1}, std::byte{0}, std::byte{1}}};
  file.tensors["empty"] = {DType::f32, {0, 4}, {}};
  file.tensors["n\xc3\xa4me \"quoted\"\n"] = {DType::u8, {1}, pattern(1)};
  file.metadata["config"] = "train:\n  lr: 0.1\n";
  file.metadata["x\"checksum"] = "xxh3:0123456789abcdef";  // looks like ours in the bytes
  return file;
}

void check_equal(const TensorFile& a, const TensorFile& b) {
  CHECK(a.tensors.size() == b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    CAPTURE(name);
    REQUIRE(b.tensors.count(name) == 1);
    CHECK(b.tensors.at(name).dtype == tensor.dtype);
    CHECK(b.tensors.at(name).shape == tensor.shape);
    CHECK(b.tensors.at(name).bytes == tensor.bytes);
  }
}

/// A file from a header as text, padded by nothing, and `data` bytes.
std::vector<std::byte> raw(const std::string& header, std::size_t data) {
  std::vector<std::byte> bytes(8 + header.size() + data);
  const uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::string refusal(std::vector<std::byte> bytes, Checksum checksum = Checksum::if_present) {
  try {
    parse_safetensors(std::move(bytes), "m.safetensors", checksum);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::model);
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.find("m.safetensors") != std::string::npos);
    CHECK(message.size() < 500);
    return message;
  }
  return "accepted";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void refuses(const std::string& part, const std::string& header, std::size_t data) {
  const std::string message = refusal(raw(header, data));
  CAPTURE(header.substr(0, 200));
  CAPTURE(message);
  CHECK(has(message, part));
}

std::string text_of(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

TEST_CASE("tensors and metadata survive writing and reading") {
  const TestFolder folder;
  const TensorFile file = example();
  write_safetensors(folder / "m.safetensors", file);
  const TensorFile back = read_safetensors(folder / "m.safetensors", Checksum::required);
  check_equal(file, back);
  for (const auto& [key, value] : file.metadata) CHECK(back.metadata.at(key) == value);
  CHECK(back.metadata.at("checksum").substr(0, 5) == "xxh3:");
  CHECK(encode_safetensors(back) == encode_safetensors(file));  // and the old checksum is replaced, not kept
  check_equal(TensorFile{}, parse_safetensors(encode_safetensors({}), "none", Checksum::required));
}

TEST_CASE("the layout is as the format wants it") {
  const auto bytes = encode_safetensors(example());
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  CHECK(header % 8 == 0);
  CHECK(bytes[8] == std::byte{'{'});
  const std::string text = text_of(bytes);
  // widest elements first, then by name, so each tensor is aligned
  CHECK(has(text, "\"a.scalar\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}"));
  CHECK(has(text, "\"step\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}"));
  CHECK(has(text, "\"conv.weight\":{\"dtype\":\"F32\",\"shape\":[2,3,5],\"data_offsets\":[16,136]}"));
}

TEST_CASE("no flipped bit loads silently") {
  const auto good = encode_safetensors(example());
  Random random(1, "flips");
  int loaded = 0;
  for (int i = 0; i < 2000; ++i) {
    auto bytes = good;
    const auto at = static_cast<std::size_t>(random.integer(0, static_cast<int64_t>(bytes.size()) - 1));
    bytes[at] ^= std::byte{1} << random.integer(0, 7);
    loaded += refusal(std::move(bytes), Checksum::required) == "accepted";
  }
  // and every bit of the checksum itself, where 'a' and 'A' are the same number
  const std::size_t digits = text_of(good).find("xxh3:");
  for (std::size_t bit = 0; bit < 8 * 21; ++bit) {
    auto bytes = good;
    bytes[digits + bit / 8] ^= std::byte{1} << (bit % 8);
    loaded += refusal(std::move(bytes), Checksum::required) == "accepted";
  }
  CHECK(loaded == 0);
}

TEST_CASE("no cut or lengthened file loads") {
  const auto good = encode_safetensors(example());
  for (std::size_t size = 0; size < good.size(); size += size < 64 ? 1 : 7) {
    CAPTURE(size);
    CHECK(refusal({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}, Checksum::if_present) != "accepted");
  }
  for (const std::size_t extra : {1, 8, 4096}) {
    auto bytes = good;
    bytes.resize(good.size() + extra);
    CHECK(refusal(bytes, Checksum::required) != "accepted");
    CHECK(refusal(raw("{}", extra)) != "accepted");
  }
}

TEST_CASE("the checksum is demanded, or verified where there is one") {
  const auto plain = raw(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2);
  CHECK(refusal(plain, Checksum::if_present) == "accepted");
  CHECK(has(refusal(plain, Checksum::required), "checksum"));
  auto bytes = encode_safetensors(example());
  bytes.back() ^= std::byte{1};
  CHECK(has(refusal(bytes, Checksum::if_present), "checksum: expected"));
  const auto foreign = raw(R"({"__metadata__":{"checksum":"sha256:12"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2);
  CHECK(refusal(foreign, Checksum::if_present) == "accepted");
  CHECK(refusal(foreign, Checksum::required) != "accepted");
  for (const char* value : {"xxh3:", "xxh3:12", "xxh3:0123456789abcdef0", "xxh3:0123456789abcdef", "xxh3:\\u0030123456789abcdef"}) {
    CHECK(refusal(raw(fmt::format(R"({{"__metadata__":{{"checksum":"{}"}}}})", value), 0)) != "accepted");
  }
}

TEST_CASE("headers that lie are refused with the field") {
  refuses("accepted", "{}", 0);
  refuses("accepted", R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   )", 8);
  refuses("accepted",
          R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},"e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]})"
          R"(,"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
          5);
  const auto one = [](const std::string& fields, std::size_t data, const std::string& part) {
    refuses(part, "{\"a\":{" + fields + "}}", data);
  };
  one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", 4, "a: data_offsets: expected [0, 8], found [0, 4]");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", 8, "expected [0, 4], found [4, 8]");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", 4, "data_offsets");
  one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 4, "expected 8 bytes, found only 4");
  one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 9, "expected 8 bytes, found 9");
  one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])", 8, "a: shape");
  one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0, "overflows");
  one(R"("dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,0])", 0, "overflows");
  one(R"("dtype":"F32","shape":[0,9223372036854775807,4],"data_offsets":[0,0])", 0, "overflows");
  one(R"("dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0])", 0, "overflows");
  one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", 4, "a: shape: expected a list of whole numbers from 0, found -1");
  one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])", 4, "found 1.0");
  one(R"("dtype":"F32","shape":[1e0],"data_offsets":[0,4])", 4, "found 1e0");
  one(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])", 4, "found '1'");
  one(R"("dtype":"F32","shape":[null],"data_offsets":[0,4])", 4, "found null");
  one(R"("dtype":"F32","shape":[true],"data_offsets":[0,4])", 4, "found a boolean");
  one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])", 4, "found a list");
  one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])", 4, "found 1");
  one(R"("dtype":"F32","shape":{},"data_offsets":[0,4])", 4, "found an object");
  one(R"("dtype":"F99","shape":[1],"data_offsets":[0,4])", 4, "found 'F99'");
  one(R"("dtype":4,"shape":[1],"data_offsets":[0,4])", 4, "a: dtype");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])", 4, "expected 2 numbers, found 3");
  one(R"("dtype":"F32","shape":[1],"data_offsets":[])", 4, "expected 2 numbers, found 0");
  one(R"("dtype":"F32","shape":[1])", 4, "a: data_offsets: expected, found nothing");
  one("", 0, "a: dtype: expected, found nothing");
  one(R"("dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4])", 4, "a: shape: expected once, found twice");
  one(R"("dtype":"F32","shape":[1],"extra":1,"data_offsets":[0,4])", 4, "found 'extra'");
  one(R"("dtype":"BOOL","shape":[1],"data_offsets":[0,1])", 1, "accepted");
  const std::string two = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})",
                    other = R"("b":{"dtype":"U8","shape":[2],"data_offsets":)";
  refuses("a: expected one tensor of that name, found two", "{" + two + "," + two + "}", 2);
  refuses("b: data_offsets: expected [2, 4], found [1, 3]", "{" + two + "," + other + "[1,3]}}", 3);
  refuses("b: data_offsets: expected [2, 4], found [3, 5]", "{" + two + "," + other + "[3,5]}}", 5);
  refuses("b: data_offsets: expected [2, 4], found [0, 2]", "{" + two + "," + other + "[0,2]}}", 2);
  refuses("two", R"({"__metadata__":{},"__metadata__":{}})", 0);
  refuses("__metadata__.k: expected once, found twice", R"({"__metadata__":{"k":"1","k":"2"}})", 0);
  refuses("__metadata__.k: expected text, found 1", R"({"__metadata__":{"k":1}})", 0);
  refuses("found an object", R"({"__metadata__":{"k":{}}})", 0);
  refuses("a: expected an object, found 3", R"({"a":3})", 0);
}

TEST_CASE("a byte that is no boolean is refused") {
  auto bytes = raw(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2);
  CHECK(refusal(bytes) == "accepted");
  bytes.back() = std::byte{2};
  CHECK(has(refusal(bytes), "booleans"));
}

TEST_CASE("headers that are not JSON, not UTF-8 or endless are refused") {
  refuses("header: expected UTF-8 JSON", "{\"a\":", 0);
  refuses("header: expected UTF-8 JSON", "{} x", 0);
  refuses("header: expected UTF-8 JSON", "{\"\xff\":1}", 0);
  refuses("header: expected UTF-8 JSON", "{\"\xed\xa0\x80\":1}", 0);
  refuses("header: expected UTF-8 JSON", "{,}", 0);
  refuses("begins with '{'", "[]", 0);
  refuses("begins with '{'", " {}", 0);
  refuses("begins with '{'", "", 0);
  std::string deep = "{\"a\":";
  deep += std::string(100000, '[');
  refuses("found a list", deep, 0);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += i == 0 ? "{\"a\":" : "{\"shape\":";
  refuses("found an object", objects, 0);
  auto long_header = raw("{}", 0);
  const uint64_t sizes[] = {100000001, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7};
  for (const uint64_t size : sizes) {
    std::memcpy(long_header.data(), &size, 8);
    CHECK(has(refusal(long_header), "expected at most 100000000 bytes"));
  }
  const uint64_t past = 3;
  std::memcpy(long_header.data(), &past, 8);
  CHECK(has(refusal(long_header), "expected 3 bytes, found only 2"));
}

TEST_CASE("other kinds of files are recognised, and pickles never opened") {
  const auto kind = [](const std::string& text) {
    std::vector<std::byte> bytes(text.size());
    if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
    return refusal(bytes);
  };
  const std::string zeros(200, '\0');
  CHECK(has(kind("PK\x03\x04" + zeros), "a zip archive"));
  CHECK(has(kind("PK\x03\x04" + zeros), "never unpickled here: tools/fetch_weights.py"));
  CHECK(has(kind("\x80\x02}q\x01(X\x05hello" + zeros), "a Python pickle"));
  CHECK(has(kind(std::string("\x80\x04\x95\x10\0\0\0\0\0\0\0", 11) + zeros), "never unpickled here"));
  CHECK(has(kind("\x7f"
                 "ELF\x02\x01\x01" +
                 zeros),
            "an ELF program"));
  CHECK(has(kind("GGUF" + zeros), "a GGUF file"));
  CHECK(has(kind("<!DOCTYPE html><html>"), "a web page"));
  CHECK(has(kind("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"));
  CHECK(has(kind(""), "an empty file"));
  CHECK(has(kind("short"), "expected at least 8 bytes, found 5"));
}

TEST_CASE("a header whose length looks like the start of a pickle is still read") {
  TensorFile file;  // 0x0280 = 640 bytes of header: the file starts with 80 02
  file.tensors["a"] = {DType::u8, {1}, pattern(1)};
  for (std::size_t fill = 400; fill < 640; ++fill) {
    file.metadata["fill"] = std::string(fill, 'x');
    const auto bytes = encode_safetensors(file);
    if (bytes[0] != std::byte{0x80} || bytes[1] != std::byte{2}) continue;
    check_equal(file, parse_safetensors(bytes, "fill", Checksum::required));
    return;
  }
  FAIL("no header of 640 bytes was made");
}

TEST_CASE("a missing file is a model error") {
  try {
    read_safetensors("/nowhere/m.safetensors", Checksum::required);
    FAIL("read");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::model);
    CHECK(has(error.what(), "/nowhere/m.safetensors"));
  }
}

TEST_CASE("metadata is read from the header alone") {
  const TestFolder folder;
  const std::filesystem::path path = folder / "m.safetensors";
  const auto whole = encode_safetensors(example());
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  const auto cut = [&](std::size_t size) { write_file(path, std::span(whole).first(size)); };
  const auto message = [&] {
    try {
      return read_safetensors_metadata(path).at("config");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::model);
      return std::string(error.what());
    }
  };
  for (const std::size_t size : {whole.size(), whole.size() - 1, std::size_t{8} + header}) {
    cut(size);
    CHECK(message() == "train:\n  lr: 0.1\n");
  }
  cut(8 + header - 1);
  CHECK(has(message(), fmt::format("header: expected {} bytes, found only {}", header, header - 1)));
  cut(5);
  CHECK(has(message(), "expected at least 8 bytes, found 5"));
  write_file(path, std::string("PK\x03\x04 and so on"));
  CHECK(has(message(), "a zip archive"));
  std::filesystem::remove(path);
  CHECK(has(message(), path.string()));
}

TEST_CASE("an entry of the metadata that is missing or no number is a model error") {
  TensorFile file;
  file.metadata = {{"stage", "3"}, {"scale", "0.25"}, {"word", "three"}};
  CHECK(metadata_of(file, "word", "FILE") == "three");
  CHECK(metadata_number<int64_t>(file, "stage", "FILE") == 3);
  CHECK(metadata_number<double>(file, "scale", "FILE") == 0.25);
  const auto message = [&](const std::string& key) {
    return test::message_of(ExitCode::model, [&] { metadata_number<int64_t>(file, key, "FILE"); });
  };
  CHECK(message("iter") == "model: FILE: expected metadata 'iter', found none");
  CHECK(message("word") == "model: FILE: metadata 'word': expected a number, found 'three'");
  CHECK(message("scale") != "");
}

TEST_CASE("what would not load is not encoded") {
  TensorFile file;
  file.tensors["a"] = {DType::f32, {2}, pattern(4)};
  CHECK_THROWS_AS(encode_safetensors(file), Error);
  file.tensors["a"] = {DType::f32, {int64_t{1} << 62, 4}, {}};
  CHECK_THROWS_AS(encode_safetensors(file), Error);
  file.tensors["a"] = {DType::f32, {-1}, {}};
  CHECK_THROWS_AS(encode_safetensors(file), Error);
  file.tensors.clear();
  file.tensors["__metadata__"] = {DType::u8, {0}, {}};
  CHECK_THROWS_AS(encode_safetensors(file), Error);
  file.tensors.clear();
  file.tensors["\xff"] = {DType::u8, {0}, {}};
  CHECK_THROWS_AS(encode_safetensors(file), Error);
}

TEST_CASE("100 MB load and verify in reasonable time") {
  const TestFolder folder;
  TensorFile file;
  for (int i = 0; i < 25; ++i) file.tensors[fmt::format("layer{}", i)] = {DType::f32, {1024, 1024}, pattern(std::size_t{4} << 20)};
  const auto start = std::chrono::steady_clock::now();
  write_safetensors(folder / "big", file);
  const auto written = std::chrono::steady_clock::now();
  const TensorFile back = read_safetensors(folder / "big", Checksum::required);
  const auto read = std::chrono::steady_clock::now();
  MESSAGE("105 MB: write " << std::chrono::duration<double, std::milli>(written - start).count() << " ms, read and verify "
                           << std::chrono::duration<double, std::milli>(read - written).count() << " ms");
  CHECK(back.tensors.size() == 25);
  CHECK(read - written < std::chrono::seconds(2));
}

TEST_CASE("files go to and come from the Python package") {
  if (std::system("python3 -c 'import safetensors.numpy' >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: python3 has no safetensors and numpy");
    return;
  }
  const TestFolder folder;
  TensorFile file = example();
  file.tensors.erase("brain");  // numpy has no bfloat16
  file.tensors.erase("empty");
  file.tensors["a.scalar"].bytes = std::vector<std::byte>(8);
  write_safetensors(folder / "ours", file);
  const std::string script =
      "import sys, numpy as np, safetensors, safetensors.numpy as st\n"
      "folder = sys.argv[1]\n"
      "with safetensors.safe_open(folder + '/ours', 'np') as f:\n"
      "    assert f.metadata()['config'] == 'train:\\n  lr: 0.1\\n', f.metadata()\n"
      "    tensors = {k: f.get_tensor(k) for k in f.keys()}\n"
      "assert len(tensors) == 11 - 1, sorted(tensors)\n"
      "assert tensors['conv.weight'].shape == (2, 3, 5) and tensors['conv.weight'].dtype == np.float32\n"
      "assert tensors['conv.weight'].tobytes() == bytes((i * 37 + 120) % 256 for i in range(120))\n"
      "assert tensors['mask'].tolist() == [True, False, True]\n"
      "st.save_file(tensors, folder + '/theirs', {'note': 'n\u00e4ml'})\n";
  write_file(folder / "check.py", script);
  REQUIRE(std::system(fmt::format("python3 '{}' '{}'", (folder / "check.py").string(), folder.path().string()).c_str()) == 0);
  const TensorFile theirs = read_safetensors(folder / "theirs", Checksum::if_present);
  check_equal(file, theirs);
  CHECK(theirs.metadata.at("note") == "n\xc3\xa4ml");
}
