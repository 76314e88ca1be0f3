// SPDX-License-Identifier: Apache-2.0
// Any bytes must either be read or give an input_error; what is read must encode and be read again as the same entries. Built and run by
// run.sh.
#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/fgr/tar.h"

using namespace finpercep;

namespace {

std::vector<TarEntry> read_all(std::span<const std::byte> bytes) {
  const Descriptor file(memfd_create("fuzz", 0));
  if (!write_all(file.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()})) std::abort();
  const TarReader tar(fmt::format("/proc/self/fd/{}", file.get()));
  std::vector<TarEntry> entries;
  for (const TarPlace& place : tar.list()) entries.push_back({place.name, tar.read(place)});
  return entries;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::vector<TarEntry> entries;
  try {
    entries = read_all(std::as_bytes(std::span(data, size)));
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
    return 0;
  }
  const std::vector<TarEntry> again = read_all(encode_tar(entries));
  if (again.size() != entries.size()) std::abort();
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (again[i].name != entries[i].name || again[i].bytes != entries[i].bytes) std::abort();
  return 0;
}
