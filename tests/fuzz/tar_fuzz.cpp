// SPDX-License-Identifier: Apache-2.0
// Any bytes must either parse or give an input_error; what parses must encode and parse again to the same entries. Built and run by run.sh.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "finpercep/base/error.h"
#include "finpercep/fgr/tar.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::vector<TarEntry> entries;
  try {
    entries = parse_tar(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
    return 0;
  }
  const std::vector<TarEntry> again = parse_tar(encode_tar(entries), "again");
  if (again.size() != entries.size()) std::abort();
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (again[i].name != entries[i].name || again[i].bytes != entries[i].bytes) std::abort();
  return 0;
}
