// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/tar.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <span>

#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

// Sizes around the block of 512.
std::vector<TarEntry> some_entries() {
  std::vector<TarEntry> entries;
  for (const std::size_t size : {0, 1, 511, 512, 513, 1500}) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + size);
    entries.push_back({"entry." + std::to_string(size), bytes_of(text)});
  }
  entries.push_back({std::string(100, 'n'), bytes_of("long name")});
  return entries;
}

// Every entry of a file of these bytes.
std::vector<TarEntry> read_all(const TestFolder& folder, std::span<const std::byte> bytes) {
  write_file(folder / "t.tar", bytes);
  const TarReader tar(folder / "t.tar");
  std::vector<TarEntry> entries;
  for (const TarPlace& place : tar.list()) entries.push_back({place.name, tar.read(place)});
  return entries;
}

bool same(const std::vector<TarEntry>& a, const std::vector<TarEntry>& b) {
  return std::ranges::equal(a, b, [](const TarEntry& x, const TarEntry& y) { return x.name == y.name && x.bytes == y.bytes; });
}

}  // namespace

TEST_CASE("tar: what was written is read back") {
  const TestFolder folder;
  const auto entries = some_entries();
  const auto bytes = encode_tar(entries);
  CHECK((bytes.size() % 512 == 0));
  CHECK(same(read_all(folder, bytes), entries));
  CHECK((encode_tar(entries) == bytes));
  CHECK(read_all(folder, encode_tar({})).empty());
  CHECK(test::input_message([] { encode_tar({TarEntry{std::string(101, 'n'), {}}}); }) != "");
  CHECK(test::input_message([] { encode_tar({TarEntry{"", {}}}); }) != "");
}

TEST_CASE("tar: Python's tarfile reads it too") {
  if (std::system("python3 -c 'import tarfile' > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: no python3");
    return;
  }
  const TestFolder folder;
  write_file(folder / "t.tar", encode_tar(some_entries()));
  write_file(folder / "check.py", std::string(R"(
import sys, tarfile
with tarfile.open(sys.argv[1], "r:") as tar:
    members = tar.getmembers()
    assert [m.name for m in members] == ["entry.%d" % n for n in (0, 1, 511, 512, 513, 1500)] + ["n" * 100], members
    assert all(m.isfile() and m.mtime == 0 and m.mode == 0o644 for m in members)
    for m in members[:-1]:
        assert tar.extractfile(m).read() == bytes((i * 7 + m.size) % 256 for i in range(m.size)), m
    assert tar.extractfile(members[-1]).read() == b"long name"
)"));
  CHECK(std::system(("python3 " + (folder / "check.py").string() + " " + (folder / "t.tar").string()).c_str()) == 0);
}

TEST_CASE("tar: a cut file is an error wherever it is cut") {
  const TestFolder folder;
  const auto bytes = encode_tar(some_entries());
  for (std::size_t size = 0; size < bytes.size() - 512; size += size % 512 < 2 || size % 512 > 509 ? 1 : 37) {
    CAPTURE(size);
    CHECK(test::input_message([&] { read_all(folder, std::span(bytes).first(size)); }).find("t.tar") != std::string::npos);
  }
}

TEST_CASE("tar: a flipped byte of a header is an error") {
  const TestFolder folder;
  const auto bytes = encode_tar({{"a.txt", bytes_of("content")}, {"b.txt", bytes_of("more")}});
  for (const std::size_t header : {std::size_t{0}, std::size_t{1024}})
    for (std::size_t i = 0; i < 512; ++i) {
      if (i == 155) continue;  // behind the end of the checksum field's number; nothing depends on it
      for (const unsigned flip : {1u, 0x80u, 0xFFu}) {
        auto damaged = bytes;
        damaged[header + i] ^= static_cast<std::byte>(flip);
        CAPTURE(i);
        CHECK(test::input_message([&] { read_all(folder, damaged); }).find("t.tar") != std::string::npos);
      }
    }
}

TEST_CASE("tar: a file that is not there, and a place beyond the end") {
  const TestFolder folder;
  const auto bytes = encode_tar(some_entries());
  write_file(folder / "t.tar", bytes);
  CHECK(test::input_message([&] { TarReader(folder / "none.tar"); }).find("none.tar") != std::string::npos);
  CHECK(test::input_message([&] { TarReader(folder / "t.tar").read({"", bytes.size() - 10, 20}); }).find("cut") != std::string::npos);
}
