// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/shards.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/fgr/tar.h"
#include "finpercep/image/io.h"
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

bool same(const std::vector<TarEntry>& a, const std::vector<TarEntry>& b) {
  return std::ranges::equal(a, b, [](const TarEntry& x, const TarEntry& y) { return x.name == y.name && x.bytes == y.bytes; });
}

bool have_weights() {
  try {
    weight_file("efficientnet_lite0");
    return true;
  } catch (const Error& error) {
    MESSAGE("skipped: " << error.what());
    return false;
  }
}

FgrSettings small_set(const TestFolder& folder) {
  write_image(folder / "photos-a.png", test::photo(80, 72));
  write_image(folder / "photos-b.png", test::photo(64, 100));
  FgrSettings settings;
  settings.photos.photos = {(folder / "photos-a.png").string(), (folder / "photos-b.png").string()};
  settings.count = 6;
  settings.size = 64;
  settings.sources = {"bicubic", "distort"};
  settings.device = "cpu";
  settings.dtype = "fp32";
  return settings;
}

// File name -> bytes, of every file.
std::map<std::string, std::vector<std::byte>> contents(const std::filesystem::path& directory) {
  std::map<std::string, std::vector<std::byte>> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) found[entry.path().filename().string()] = read_file(entry.path());
  return found;
}

}  // namespace

TEST_CASE("tar: what was written is read back") {
  const auto entries = some_entries();
  const auto bytes = encode_tar(entries);
  CHECK((bytes.size() % 512 == 0));
  CHECK(same(parse_tar(bytes, "TAR"), entries));
  CHECK((encode_tar(entries) == bytes));
  CHECK(parse_tar(encode_tar({}), "TAR").empty());
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
  const auto bytes = encode_tar(some_entries());
  for (std::size_t size = 0; size < bytes.size() - 512; size += size % 512 < 2 || size % 512 > 509 ? 1 : 37) {
    CAPTURE(size);
    CHECK(test::input_message([&] { parse_tar(std::span(bytes).first(size), "TAR"); }).find("TAR") != std::string::npos);
  }
}

TEST_CASE("tar: a flipped byte of a header is an error") {
  const auto bytes = encode_tar({{"a.txt", bytes_of("content")}, {"b.txt", bytes_of("more")}});
  for (const std::size_t header : {std::size_t{0}, std::size_t{1024}})
    for (std::size_t i = 0; i < 512; ++i) {
      if (i == 155) continue;  // behind the end of the checksum field's number; nothing depends on it
      for (const unsigned flip : {1u, 0x80u, 0xFFu}) {
        auto damaged = bytes;
        damaged[header + i] ^= static_cast<std::byte>(flip);
        CAPTURE(i);
        CHECK(test::input_message([&] { parse_tar(damaged, "TAR"); }).find("TAR") != std::string::npos);
      }
    }
}

TEST_CASE("shards: two parts, a rebuilt shard and one whole build are the same bytes; reading gives the builder's samples") {
  if (!have_weights()) return;
  const TestFolder folder;
  const FgrSettings settings = small_set(folder);
  const FgrBuilder builder(settings);
  CHECK(builder.label_scale() > 0);

  build_shards(builder, folder / "whole", 0, 1, 2);
  const auto whole = contents(folder / "whole");
  CHECK(whole.size() == 3 + 2);  // shards, config.yaml, manifest.json
  build_shards(FgrBuilder(settings), folder / "parts", 1, 2, 2);
  CHECK_FALSE(std::filesystem::exists(folder / "parts" / "manifest.json"));
  CHECK(test::input_message([&] { read_manifest(folder / "parts"); }) != "");
  build_shards(builder, folder / "parts", 0, 2, 2);
  CHECK((contents(folder / "parts") == whole));
  std::filesystem::remove(folder / "parts" / "fgr-000001.tar");
  build_shards(builder, folder / "parts", 0, 1, 2);
  CHECK((contents(folder / "parts") == whole));

  const ShardManifest manifest = read_manifest(folder / "whole");
  CHECK(manifest.label_scale == builder.label_scale());
  CHECK(manifest.alpha == settings.label.alpha);
  CHECK(manifest.count == 6);
  CHECK(manifest.shards.size() == 3);

  int64_t index = 0;
  read_shards(folder / "whole", [&](FgrSample&& read) {
    CAPTURE(index);
    const FgrSample made = builder.sample(index++);
    CHECK(read.source == made.source);
    CHECK(read.mask_kind == made.mask_kind);
    CHECK(test::largest_difference(read.gt, made.gt) < 1e-6f);
    CHECK(test::largest_difference(read.sr, made.sr) < 1e-6f);
    CHECK(test::largest_difference(read.mask, made.mask) < 1e-6f);
    CHECK(test::largest_difference(read.label, made.label) < 0.501f / 255);
    // Zero outside the mask, and where the swap was clean.
    for (std::size_t i = 0; i < made.label.data.size(); ++i)
      if (made.mask.data[i] == 0 || made.source == "clean") REQUIRE(made.label.data[i] < 1e-3f);
  });
  CHECK(index == 6);
  const FgrSet read(folder / "whole"), made(builder);
  CHECK(read.size() == 6);
  CHECK(read.label_scale() == made.label_scale());
  CHECK(read.sample(3).label.data == made.sample(3).label.data);
  CHECK(read.sample(3).sr.data == made.sample(3).sr.data);

  // Damage.
  const auto shard = folder / "parts" / "fgr-000002.tar";
  auto bytes = read_file(shard);
  bytes[700] ^= std::byte{1};
  write_file(shard, bytes);
  CHECK(test::input_message([&] { read_shards(folder / "parts", [](FgrSample&&) {}); }).find("fgr-000002.tar") != std::string::npos);
  std::filesystem::remove(shard);
  CHECK(test::input_message([&] { read_shards(folder / "parts", [](FgrSample&&) {}); }).find("fgr-000002.tar") != std::string::npos);

  // Another set does not mix in.
  FgrSettings other = settings;
  other.manual_seed = 1;
  CHECK(test::input_message([&] { build_shards(FgrBuilder(other), folder / "whole", 0, 1, 2); }).find("other settings") != std::string::npos);
}

TEST_CASE("shards: every kind of sample turns up, and labels use their range") {
  if (!have_weights()) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  settings.count = 40;
  const FgrBuilder builder(settings);
  int clean = 0, whole = 0, bicubic = 0, distorted = 0;
  float highest = 0;
  for (int64_t i = 0; i < settings.count; ++i) {
    const FgrSample s = builder.sample(i);
    clean += s.source == "clean";
    bicubic += s.source == "bicubic";
    distorted += s.source.starts_with("distort:");
    whole += s.mask_kind == "whole";
    for (float v : s.label.data) highest = std::max(highest, v);
  }
  CHECK(clean + bicubic + distorted == 40);
  CHECK(clean > 0);
  CHECK(clean < 12);
  CHECK(bicubic > 6);
  CHECK(distorted > 6);
  CHECK(whole > 2);
  CHECK(whole < 18);
  CHECK(highest == 1);
}

TEST_CASE("manifest: what is no manifest is an input error") {
  const TestFolder folder;
  CHECK(test::input_message([&] { read_manifest(folder.path()); }) != "");
  for (const std::string text : {"", "{", "[]", "{}", R"({"format": "finpercep-fgr-2"})",
                                 R"({"format": "finpercep-fgr-1", "label_scale": "x", "alpha": 1, "count": 1, "shards": []})",
                                 R"({"format": "finpercep-fgr-1", "label_scale": 1, "alpha": 1, "count": 1, "shards": [{"file": "../x.tar", "hash": ""}]})"}) {
    CAPTURE(text);
    write_file(folder / "manifest.json", text);
    CHECK(test::input_message([&] { read_manifest(folder.path()); }).find("manifest.json") != std::string::npos);
  }
}
