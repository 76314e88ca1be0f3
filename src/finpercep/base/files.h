// SPDX-License-Identifier: Apache-2.0
// Files are written whole or not at all: to a temporary name in the same folder, fsynced, renamed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finpercep/base/error.h"

namespace finpercep {

/// An input_error of a file that the system did not let be written: no space, no permission. The next file would fare no better.
class WriteError : public Error {
  using Error::Error;
};

/// A file that open() gave, closed with its scope; below 0 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  /// False with errno set where the system tells only now that what was written did not arrive, as a network file system does.
  bool close();
  /// The same as a WriteError about `where`.
  void close(const std::filesystem::path& where);

 private:
  int fd_;
};

/// The bytes of a regular file of at most `max_bytes`. Throws input_error naming the path for: missing, a directory, a FIFO or
/// device, unreadable, too large, changed while being read.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 31);
std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 26);

/// At most `count` bytes from the start of a regular file, fewer only where it is shorter; otherwise as read_file.
std::vector<std::byte> read_file_start(const std::filesystem::path& path, uint64_t count);

/// All of it, whatever write() takes at a time; false with errno set where the system refuses.
bool write_all(int fd, std::string_view text);

/// Temporary name, fsync, rename, fsync of the folder. On any failure (no space, read-only, ..) the temporary file is removed and
/// WriteError says what and where; input_error where `path` can be no file.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, const std::string& text);

/// Creates `path` and its parents; input_error if that cannot be done or something else is in the way.
void make_directory(const std::filesystem::path& path);

/// "xxh3:<16 hex>" of the bytes.
std::string hash_of(std::span<const std::byte> bytes);
/// The same of parts one after another.
std::string hash_of(std::initializer_list<std::span<const std::byte>> parts);
std::string hash_of(std::string_view text);

/// What a folder is called: "b" of a/b, of a/b/ and of a/b/. ; the path itself where that would be empty.
std::string folder_name(const std::filesystem::path& path);

/// Throws input_error when `path` exists and `overwrite` is false ("... exists. pass --overwrite to replace it").
void refuse_overwrite(const std::filesystem::path& path, bool overwrite);
/// For a file that is written after long work: refuse_overwrite, and input_error where it can be no file or its folder is not there.
void check_output_file(const std::filesystem::path& path, bool overwrite);

}  // namespace finpercep
