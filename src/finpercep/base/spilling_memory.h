// SPDX-License-Identifier: Apache-2.0
// Memory for a set of pictures that may be larger than the machine has.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "finpercep/base/files.h"

namespace finpercep {

/// Blocks that live as long as it does. The first `limit` bytes are ordinary memory; what is beyond lies in a nameless file under $TMPDIR
/// (where that is unset: /var/tmp, which is no memory in disguise), which the system writes out and reads back as it likes. take() may be
/// called by several threads at once.
class SpillingMemory {
 public:
  explicit SpillingMemory(uint64_t limit) : limit_(limit) {}
  ~SpillingMemory();
  SpillingMemory(const SpillingMemory&) = delete;
  SpillingMemory& operator=(const SpillingMemory&) = delete;
  /// `bytes` zeros. WriteError where the disk has no room for them.
  uint8_t* take(std::size_t bytes);
  uint64_t spilled() const { return spilled_; }  ///< bytes of the file, in whole chunks

 private:
  struct Chunk {
    uint8_t* begin;
    std::size_t size;
  };
  uint8_t* map(std::size_t size);
  const uint64_t limit_;
  std::mutex mutex_;
  std::vector<Chunk> chunks_;
  uint8_t* free_ = nullptr;  // what is left of the chunk that small blocks are taken from
  std::size_t free_size_ = 0;
  Descriptor file_;
  uint64_t kept_ = 0, spilled_ = 0;  // bytes of the chunks in memory and in the file
};

}  // namespace finpercep
