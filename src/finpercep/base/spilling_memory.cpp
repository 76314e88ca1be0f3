// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/spilling_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace finpercep {
namespace {

// Small blocks are taken from chunks of this size, because the number of mappings that a process may have is limited (to 65,530); blocks of
// a quarter of it and more have a mapping each, so that little is lost at a chunk's end.
constexpr std::size_t chunk_size = std::size_t{64} << 20;

std::string spill_folder() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

WriteError no_room(const std::string& folder, std::size_t bytes, int error) {
  return {
      ExitCode::input,
      fmt::format("{}: expected room for {} MB of pictures that are not kept in memory, found: {}. name a folder on another disk by the "
                  "variable TMPDIR",
                  folder, bytes >> 20, std::strerror(error))};
}

}  // namespace

SpillingMemory::~SpillingMemory() {
  for (const Chunk& chunk : chunks_) ::munmap(chunk.begin, chunk.size);
}

uint8_t* SpillingMemory::map(std::size_t size) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const bool spill = kept_ + size > limit_;
  if (spill) {
    const std::string folder = spill_folder();
    if (file_.get() < 0) {
      std::string name = folder + "/finpercep-XXXXXX";
      file_ = Descriptor(::mkostemp(name.data(), O_CLOEXEC));
      if (file_.get() < 0) throw no_room(folder, size, errno);
      ::unlink(name.c_str());
    }
    // Reserved before it is touched: a write into a mapped file for which the disk has no room ends the process.
    if (const int error = ::posix_fallocate(file_.get(), static_cast<off_t>(spilled_), static_cast<off_t>(size)); error != 0)
      throw no_room(folder, size, error);
    flags = MAP_SHARED;
  }
  chunks_.reserve(chunks_.size() + 1);  // so that what is mapped is known
  void* begin = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, spill ? file_.get() : -1, spill ? static_cast<off_t>(spilled_) : 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  (spill ? spilled_ : kept_) += size;
  chunks_.push_back({static_cast<uint8_t*>(begin), size});
  return chunks_.back().begin;
}

uint8_t* SpillingMemory::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes >= chunk_size / 4) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return map((bytes + page - 1) / page * page);
  }
  if (free_size_ < bytes) {
    free_ = map(chunk_size);
    free_size_ = chunk_size;
  }
  free_size_ -= bytes;
  return std::exchange(free_, free_ + bytes);
}

}  // namespace finpercep
