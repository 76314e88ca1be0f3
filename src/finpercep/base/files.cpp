// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <system_error>

#include <fmt/format.h>
#include <xxhash.h>

#include "finpercep/base/error.h"

namespace fs = std::filesystem;

namespace finpercep {
namespace {

Error failed(const char* what, const fs::path& path, int error) {
  const char* advice = "";
  switch (error) {
    case ENOSPC:
      advice = ". free some space or choose another disk";
      break;
    case EDQUOT:
      advice = ". your quota is used up: free some space or choose another disk";
      break;
    case EROFS:
      advice = ". choose a folder that can be written";
      break;
    case EACCES:
    case EPERM:
      advice = ". check the permissions";
      break;
    case ENOENT:
      advice = ". check the path";
      break;
    case EMFILE:
    case ENFILE:
      advice = ". raise the limit with ulimit -n";
      break;
    default:
      break;
  }
  return input_error(fmt::format("{}: {}: {}{}", what, path.string(), std::strerror(error), advice));
}

WriteError write_failed(const fs::path& path, int error) { return {ExitCode::input, failed("write", path, error).what()}; }

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

/// Reads up to `size` bytes; fewer only at the end of the file.
std::size_t read_up_to(int fd, std::byte* out, std::size_t size, const fs::path& path) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = ::read(fd, out + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw failed("read", path, errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have;
}

/// `at_most` bytes of a file that may have `max_bytes`.
template <class Container>
Container read_into(const fs::path& path, uint64_t max_bytes, uint64_t at_most = std::numeric_limits<uint64_t>::max()) {
  // Without O_NONBLOCK, opening a FIFO that nobody writes would wait for ever.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd.get() < 0) {
    // ENXIO is what opening a socket gives
    if (errno == ENXIO)
      throw input_error(fmt::format("read: {}: expected a file, found a socket or device. give a regular file", path.string()));
    throw failed("read", path, errno);
  }
  struct stat before = {};
  if (::fstat(fd.get(), &before) != 0) throw failed("read", path, errno);
  if (!S_ISREG(before.st_mode)) {
    throw input_error(fmt::format("read: {}: expected a file, found {}. give a regular file", path.string(), kind_of(before.st_mode)));
  }
  const auto size = static_cast<uint64_t>(before.st_size);
  if (size > max_bytes) {
    throw input_error(fmt::format("read: {}: expected at most {} bytes, found {}. give a smaller file", path.string(), max_bytes, size));
  }
  const uint64_t wanted = std::min(size, at_most);
  Container content;
  content.resize(wanted);
  std::byte one_more;
  const std::size_t have = read_up_to(fd.get(), reinterpret_cast<std::byte*>(content.data()), content.size(), path);
  const bool longer = have == size && read_up_to(fd.get(), &one_more, 1, path) > 0;
  struct stat after = {};
  if (::fstat(fd.get(), &after) != 0) throw failed("read", path, errno);
  const bool touched =
      after.st_size != before.st_size || after.st_mtim.tv_sec != before.st_mtim.tv_sec || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec;
  if (have != wanted || longer || touched) {
    throw input_error(
        fmt::format("read: {}: the file changed while it was being read. wait for its writer, then try again", path.string()));
  }
  return content;
}

/// What to write to: links are followed, so that a link stays a link; only a regular file may be replaced.
fs::path real_target(const fs::path& path) {
  std::error_code ignored;
  const fs::path real = fs::canonical(path, ignored);
  fs::path target = ignored ? path : real;
  if (ignored && fs::is_symlink(fs::symlink_status(path, ignored)))  // to a file that is not there yet
    target = path.parent_path() / fs::read_symlink(path, ignored);
  struct stat status = {};
  if (::stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    // Renaming over it would turn, say, /dev/null into a file.
    throw input_error(fmt::format("write: {}: expected a file, found {}. give a file name", path.string(), kind_of(status.st_mode)));
  }
  if (target.filename().empty()) throw input_error(fmt::format("write: '{}': expected a file name", path.string()));
  return target;
}

/// A new file beside `target`, with `name` set to its path.
int open_temporary(const fs::path& target, fs::path& name) {
  static std::atomic<uint64_t> counter{0};
  const std::string stem = target.filename().string().substr(0, 160);  // the whole name must stay below NAME_MAX
  for (;;) {
    name = target.parent_path() / fmt::format(".{}.{}-{}.tmp", stem, ::getpid(), counter.fetch_add(1));
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || (errno != EEXIST && errno != EINTR)) return fd;  // EEXIST: left by a dead process with the same id
  }
}

bool sync(int fd) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

std::string hash_text(XXH64_hash_t hash) { return fmt::format("xxh3:{:016x}", hash); }

}  // namespace

bool Descriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd < 0 || ::close(fd) == 0 || errno == EINTR;  // EINTR closes on Linux
}

void Descriptor::close(const fs::path& where) {
  if (!close()) throw write_failed(where, errno);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0) errno = EIO;
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::vector<std::byte> read_file(const fs::path& path, uint64_t max_bytes) { return read_into<std::vector<std::byte>>(path, max_bytes); }

std::vector<std::byte> read_file_start(const fs::path& path, uint64_t count) {
  return read_into<std::vector<std::byte>>(path, std::numeric_limits<uint64_t>::max(), count);
}

std::string read_text_file(const fs::path& path, uint64_t max_bytes) { return read_into<std::string>(path, max_bytes); }

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path target = real_target(path);
  const fs::path folder = target.parent_path().empty() ? fs::path(".") : target.parent_path();
  fs::path temporary;
  Descriptor fd(open_temporary(target, temporary));
  if (fd.get() < 0) throw write_failed(path, errno);

  struct stat old = {};
  if (::stat(target.c_str(), &old) == 0) ::fchmod(fd.get(), old.st_mode & 07777);  // as far as we may; not worth failing for
  const bool written = write_all(fd.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}) && sync(fd.get()) && fd.close() &&
                       std::rename(temporary.c_str(), target.c_str()) == 0;
  if (!written) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw write_failed(path, error);
  }
  // The rename itself must survive a power cut. Some network file systems cannot sync a folder and say EINVAL.
  const Descriptor folder_fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder_fd.get() >= 0 && !sync(folder_fd.get()) && errno != EINVAL && errno != ENOTSUP) throw write_failed(folder, errno);
}

void write_file(const fs::path& path, const std::string& text) { write_file(path, std::as_bytes(std::span(text.data(), text.size()))); }

void make_directory(const fs::path& path) {
  if (path.empty()) return;  // the current folder
  std::error_code error;
  fs::create_directories(path, error);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return;  // create_directories calls a trailing slash an error on some systems
  if (!error || error == std::errc::not_a_directory || error == std::errc::file_exists) {
    throw input_error(fmt::format("create folder: {}: something that is not a folder is in the way. choose another name", path.string()));
  }
  throw failed("create folder", path, error.value());
}

void refuse_overwrite(const fs::path& path, bool overwrite) {
  std::error_code ignored;
  if (!overwrite && fs::exists(fs::symlink_status(path, ignored))) {
    throw input_error(fmt::format("write: {}: exists. pass --overwrite to replace it", path.string()));
  }
}

void check_output_file(const fs::path& path, bool overwrite) {
  refuse_overwrite(path, overwrite);
  real_target(path);
  std::error_code ignored;
  const fs::path folder = path.parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    throw input_error(
        fmt::format("write: {}: expected a folder {}, found none. make it, or choose another name", path.string(), folder.string()));
}

std::string hash_of(std::span<const std::byte> bytes) { return hash_text(XXH3_64bits(bytes.data(), bytes.size())); }

std::string hash_of(std::string_view text) { return hash_of(std::as_bytes(std::span(text))); }

std::string hash_of(std::initializer_list<std::span<const std::byte>> parts) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  for (const auto part : parts) XXH3_64bits_update(state.get(), part.data(), part.size());
  return hash_text(XXH3_64bits_digest(state.get()));
}

std::string folder_name(const std::filesystem::path& path) {
  const std::filesystem::path plain = path.lexically_normal();
  const std::string name = (plain.has_filename() ? plain : plain.parent_path()).filename().string();
  return name.empty() ? path.string() : name;
}

}  // namespace finpercep
