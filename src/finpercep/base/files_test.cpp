// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/files.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;
namespace fs = std::filesystem;

// The system calls that write_file makes, so that the n-th can be made to fail. Everything else in this program goes through too.
namespace {
int fail_write_at = 0, fail_fsync_at = 0, fail_rename_at = 0, failure = 0;  // counted from 1; 0: never
std::size_t write_at_most = SIZE_MAX;
bool interrupt_writes = false, interrupted_last = false;
bool fails(int& countdown) { return countdown > 0 && --countdown == 0; }
}  // namespace

extern "C" ssize_t write(int fd, const void* from, size_t count) {
  if (fails(fail_write_at)) {
    errno = failure;
    return -1;
  }
  interrupted_last = interrupt_writes && !interrupted_last;
  if (interrupted_last) {
    errno = EINTR;
    return -1;
  }
  return syscall(SYS_write, fd, from, std::min(count, write_at_most));
}
extern "C" int fsync(int fd) {
  if (fails(fail_fsync_at)) {
    errno = failure;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" int rename(const char* from, const char* to) {
  if (fails(fail_rename_at)) {
    errno = failure;
    return -1;
  }
  return static_cast<int>(syscall(SYS_rename, from, to));
}

namespace {

std::string message_of(const std::function<void()>& action, ExitCode code = ExitCode::input) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t entries_of(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("what is written is read back, bytes and text") {
  const TestFolder folder;
  std::string text = "line\n\0zero";
  text.push_back('\xff');
  write_file(folder / "a.txt", text);
  CHECK(read_text_file(folder / "a.txt") == text);
  const std::vector<std::byte> bytes(100000, std::byte{42});
  write_file(folder / "a.txt", bytes);
  CHECK(read_file(folder / "a.txt") == bytes);
  write_file(folder / "empty", std::string());
  CHECK(read_file(folder / "empty").empty());
  CHECK(entries_of(folder.path()) == 2);
}

TEST_CASE("only regular files are read, and at once") {
  const TestFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  fs::create_symlink("nowhere", folder / "dangling");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  close(server);

  const auto start = std::chrono::steady_clock::now();
  CHECK(has(message_of([&] { read_file(folder / "pipe"); }), "expected a file, found a pipe"));
  CHECK(has(message_of([&] { read_file(folder / "socket"); }), "expected a file, found a socket"));
  CHECK(has(message_of([&] { read_file("/dev/zero"); }), "/dev/zero: expected a file, found a device"));
  CHECK(has(message_of([&] { read_file(folder.path()); }), "found a directory"));
  CHECK(has(message_of([&] { read_file(folder / "dangling"); }), "No such file"));
  CHECK(has(message_of([&] { read_file(folder / "missing.png"); }), "missing.png: No such file"));
  CHECK(has(message_of([&] { read_file(""); }), "No such file"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("a file that is too large is refused before it is read") {
  const TestFolder folder;
  write_file(folder / "a", std::string(11, 'x'));
  CHECK(read_file(folder / "a", 11).size() == 11);
  CHECK(has(message_of([&] { read_file(folder / "a", 10); }), "expected at most 10 bytes, found 11"));
  write_file(folder / "sparse", std::string());
  fs::resize_file(folder / "sparse", uint64_t{1} << 40);
  CHECK(has(message_of([&] { read_file(folder / "sparse"); }), "found 1099511627776"));
}

TEST_CASE("a failing write leaves the old file and nothing else") {
  const TestFolder folder;
  const fs::path path = folder / "a.bin";
  write_file(path, std::string("old"));
  const std::string text(5000, 'n');
  int* const points[] = {&fail_write_at, &fail_write_at, &fail_write_at, &fail_fsync_at, &fail_rename_at};
  const int nth[] = {1, 2, 5, 1, 1};
  for (std::size_t i = 0; i < std::size(nth); ++i) {
    for (const int error : {ENOSPC, EIO, EROFS, EXDEV}) {
      failure = error;
      write_at_most = 1000;
      *points[i] = nth[i];
      const std::string message = message_of([&] { write_file(path, text); });
      *points[i] = 0;
      CAPTURE(i);
      CAPTURE(message);
      CHECK(has(message, "a.bin: " + std::string(std::strerror(error))));
      if (error == ENOSPC) CHECK(has(message, "free some space"));
      CHECK(read_text_file(path) == "old");
      CHECK(entries_of(folder.path()) == 1);
    }
  }
  // The folder's fsync comes after the rename: the file is new, but the promise cannot be kept, and that is said.
  failure = EIO;
  fail_fsync_at = 2;
  CHECK(has(message_of([&] { write_file(path, text); }), "Input/output error"));
  fail_fsync_at = 0;
  write_at_most = SIZE_MAX;
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("short and interrupted writes are continued") {
  const TestFolder folder;
  std::string text(3001, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i % 251);
  write_at_most = 7;
  interrupt_writes = true;
  write_file(folder / "a", text);
  write_at_most = SIZE_MAX;
  interrupt_writes = false;
  CHECK(read_text_file(folder / "a") == text);
}

TEST_CASE("what must not be replaced is not replaced") {
  const TestFolder folder;
  fs::create_directory(folder / "d");
  CHECK(has(message_of([&] { write_file(folder / "d", std::string("x")); }), "found a directory"));
  CHECK(has(message_of([&] { write_file("/dev/null", std::string("x")); }), "found a device"));
  CHECK(has(message_of([&] { write_file(folder / "missing" / "a", std::string("x")); }), "No such file"));
  CHECK(has(message_of([&] { write_file("", std::string("x")); }), "expected a file name"));
  CHECK(fs::is_character_file("/dev/null"));
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("links are written through and permissions kept") {
  const TestFolder folder;
  write_file(folder / "real", std::string("old"));
  fs::permissions(folder / "real", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real", folder / "link");
  write_file(folder / "link", std::string("new"));
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_text_file(folder / "real") == "new");
  CHECK(fs::status(folder / "real").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  fs::create_symlink("later", folder / "dangling");
  write_file(folder / "dangling", std::string("x"));
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(read_text_file(folder / "later") == "x");
}

TEST_CASE("the longest file name can be written") {
  const TestFolder folder;
  write_file(folder / std::string(255, 'n'), std::string("x"));
  CHECK(entries_of(folder.path()) == 1);
  CHECK(has(message_of([&] { write_file(folder / std::string(256, 'n'), std::string("x")); }), "name too long"));
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("make_directory") {
  const TestFolder folder;
  make_directory(folder / "a" / "b" / "c");
  make_directory(folder / "a" / "b" / "c");
  make_directory(folder / "t" / "");
  CHECK(fs::is_directory(folder / "a" / "b" / "c"));
  write_file(folder / "file", std::string("x"));
  CHECK(has(message_of([&] { make_directory(folder / "file"); }), "in the way"));
  CHECK(has(message_of([&] { make_directory(folder / "file" / "below"); }), "in the way"));
}

TEST_CASE("refuse_overwrite") {
  const TestFolder folder;
  refuse_overwrite(folder / "a", false);
  write_file(folder / "a", std::string("x"));
  refuse_overwrite(folder / "a", true);
  CHECK(has(message_of([&] { refuse_overwrite(folder / "a", false); }), "exists. pass --overwrite"));
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK(has(message_of([&] { refuse_overwrite(folder / "dangling", false); }), "exists"));
}

TEST_CASE("a write that the system refuses has a type of its own, a path that can be no file has not") {
  CHECK_THROWS_AS(write_file("/proc/finpercep/x", std::string("x")), WriteError);
  try {
    write_file("/dev/null", std::string("x"));
    FAIL("a device was replaced");
  } catch (const WriteError&) {
    FAIL("a device is no full disk");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::input);
  }
}

TEST_CASE("the start of a file is read, whatever follows") {
  const TestFolder folder;
  write_file(folder / "a", std::string("0123456789"));
  CHECK(read_file_start(folder / "a", 4).size() == 4);
  CHECK(read_file_start(folder / "a", 4)[3] == std::byte{'3'});
  CHECK(read_file_start(folder / "a", 10).size() == 10);
  CHECK(read_file_start(folder / "a", 64).size() == 10);
  CHECK_THROWS_AS(read_file_start(folder / "none", 4), Error);
}

TEST_CASE("a close that the system refuses is a write error") {
  Descriptor fd(dup(2));
  REQUIRE(fd.get() >= 0);
  Descriptor moved = std::move(fd);
  CHECK(fd.get() == -1);
  CHECK_NOTHROW(fd.close("none"));
  close(moved.get());  // so that closing it fails
  CHECK_THROWS_AS(moved.close("a/file"), WriteError);
  CHECK(moved.get() == -1);
}

TEST_CASE("the hash of parts is that of the whole") {
  const std::string text = "a text of two parts";
  const auto bytes = std::as_bytes(std::span(text));
  CHECK(hash_of({bytes.first(7), bytes.subspan(7), {}}) == hash_of(bytes));
}
