// SPDX-License-Identifier: Apache-2.0
// Any text must either parse or give an input_error; runs that parse cover the picture exactly. Built and run by run.sh.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "finpercep/base/error.h"
#include "finpercep/fgr/coco_rle.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    for (const int64_t count : decode_counts(text, "fuzz"))
      if (count < 0) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
  }
  try {
    const RunLengthMasks read = parse_sam_masks(text, "fuzz");
    for (const RunLengths& mask : read.masks) {
      int64_t total = 0, area = 0;
      for (std::size_t i = 0; i < mask.counts.size(); ++i) (i % 2 == 1 ? area : total) += mask.counts[i];
      if (area != mask.area || total + area != int64_t{read.width} * read.height) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) std::abort();
  }
  return 0;
}
