// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>
#include <new>
#include <string>

namespace finpercep {

/// Whether an exception says that memory ran out: the standard library's, LibTorch's of the host, or CUDA's, cuBLAS' and cuDNN's.
inline bool out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  const std::string what = error.what();
  for (const char* sign : {"can't allocate memory", "out of memory", "_ALLOC_FAILED"})
    if (what.find(sign) != std::string::npos) return true;
  return false;
}

}  // namespace finpercep
