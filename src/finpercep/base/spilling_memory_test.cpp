// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/spilling_memory.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "finpercep/base/parallel.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;

namespace {

struct TemporaryFolder {  // what $TMPDIR names while it lives
  explicit TemporaryFolder(const std::string& folder) {
    if (const char* set = std::getenv("TMPDIR")) before = set;
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  ~TemporaryFolder() {
    if (before.empty()) ::unsetenv("TMPDIR");
    else ::setenv("TMPDIR", before.c_str(), 1);
  }
  std::string before;
};

}  // namespace

TEST_CASE("blocks of several threads beyond the limit lie in a file without a name and keep what is written into them") {
  const TestFolder folder;
  const TemporaryFolder temporary(folder.path().string());
  constexpr std::size_t size = (std::size_t{15} << 20) + 7;  // four a chunk of 64 MiB
  SpillingMemory memory(std::size_t{100} << 20);
  std::vector<uint8_t*> blocks(16);
  parallel_for(16, 4, [&](int64_t i) {
    blocks[i] = memory.take(size);
    CHECK(std::all_of(blocks[i], blocks[i] + size, [](uint8_t byte) { return byte == 0; }));
    std::fill_n(blocks[i], size, static_cast<uint8_t>(i + 1));
  });
  CHECK(memory.spilled() == std::size_t{3 * 64} << 20);  // the first chunk is in memory
  for (int i = 0; i < 16; ++i) CHECK(std::all_of(blocks[i], blocks[i] + size, [i](uint8_t byte) { return byte == i + 1; }));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("below the limit nothing is written; large blocks are not rounded up to chunks") {
  const TestFolder folder;
  const TemporaryFolder temporary(folder.path().string());
  constexpr std::size_t telephone = 37'000'000;  // 12 megapixels
  SpillingMemory memory((std::size_t{64} << 20) + 10 * (telephone + 4096));
  memory.take(3)[2] = 1;
  for (int i = 0; i < 10; ++i) memory.take(telephone)[telephone - 1] = 1;
  CHECK(memory.spilled() == 0);
  memory.take(std::size_t{100} << 20)[(100 << 20) - 1] = 1;
  CHECK(memory.spilled() == std::size_t{100} << 20);
}

TEST_CASE("a folder that takes no file is named, and so is the way out") {
  const TemporaryFolder temporary("/nowhere");
  SpillingMemory memory(0);
  CHECK_THROWS_WITH_AS(
      memory.take(10),
      "/nowhere: expected room for 64 MB of pictures that are not kept in memory, found: No such file or directory. name a "
      "folder on another disk by the variable TMPDIR",
      WriteError);
}
