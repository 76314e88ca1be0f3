// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;

namespace {

/// What `action` writes to stderr, which is a file.
std::string to_file(const std::function<void()>& action) {
  const TestFolder folder;
  const int saved = dup(2), file = open((folder / "err").c_str(), O_RDWR | O_CREAT, 0600);
  dup2(file, 2);
  action();
  dup2(saved, 2);
  close(saved);
  close(file);
  return read_text_file(folder / "err");
}

/// What `action` writes to stderr, which is a terminal 60 columns wide.
std::string to_terminal(const std::function<void()>& action) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0);
  REQUIRE(grantpt(master) == 0);
  REQUIRE(unlockpt(master) == 0);
  const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
  winsize size = {};
  size.ws_col = 60;
  ioctl(terminal, TIOCSWINSZ, &size);
  const int saved = dup(2);
  dup2(terminal, 2);
  action();
  dup2(saved, 2);
  close(saved);
  // The kernel passes the text on when it likes, in pieces; a mark at its end says that all has come.
  const std::string mark = "<end>";
  REQUIRE(write(terminal, mark.data(), mark.size()) == static_cast<ssize_t>(mark.size()));
  std::string text;
  pollfd ready = {master, POLLIN, 0};
  while (!text.ends_with(mark) && poll(&ready, 1, 20000) == 1) {
    char piece[4096];
    const ssize_t n = read(master, piece, sizeof piece);
    if (n <= 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  REQUIRE(text.ends_with(mark));
  text.resize(text.size() - mark.size());
  close(terminal);
  close(master);
  return text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("info and warnings go to stderr; quiet keeps the warnings") {
  CHECK(to_file([] {
          log_info("one");
          log_warning("two");
        }) == "one\nwarning: two\n");
  CHECK(to_file([] {
          set_log_level(LogLevel::quiet);
          log_info("one");
          log_warning("two");
          set_log_level(LogLevel::info);
        }) == "warning: two\n");
  // Names of files are in them: these forge no line and do not steer the terminal.
  CHECK(to_file([] { log_warning("a\nwarning: all is well\x1b[31m.png"); }) == "warning: a\\nwarning: all is well\\x1b[31m.png\n");
}

TEST_CASE("the log file gets every line, also when quiet, and survives being deleted") {
  const TestFolder folder;
  const std::string path = (folder / "log.txt").string();
  to_file([&] {
    set_log_level(LogLevel::quiet);
    set_log_file(path);
    log_info("one");
    log_warning("two");
    CHECK(has(read_text_file(path), " one\n"));
    CHECK(has(read_text_file(path), " warning: two\n"));
    std::filesystem::remove(path);
    log_info("three");
    CHECK(has(read_text_file(path), " three\n"));
    set_log_file("");
    log_info("four");
    CHECK_FALSE(has(read_text_file(path), "four"));
    set_log_level(LogLevel::info);
  });
  CHECK_THROWS_AS(set_log_file((folder / "none" / "log.txt").string()), Error);
}

TEST_CASE("a log file that cannot be written is said once and does not stop the run") {
  const std::string text = to_file([] {
    set_log_file("/dev/full");
    log_info("one");
    log_info("two");
    set_log_file("");
  });
  CHECK(text == "one\nwarning: log: /dev/full: No space left on device. the run goes on without it\ntwo\n");
}

TEST_CASE("progress is drawn on a terminal only, and not when quiet") {
  const auto work = [] {
    Progress progress("training", 1000);
    for (int i = 0; i < 1000; ++i) progress.advance(1, "loss 0.5");
  };
  CHECK(to_file(work) == "");
  setenv("TERM", "xterm", 1);
  const std::string text = to_terminal(work);
  CHECK(has(text, "training [========================] 1000/1000"));
  CHECK(has(text, "/s"));
  CHECK(text.back() == '\n');
  CHECK(std::count(text.begin(), text.end(), '\r') < 20);  // ten a second, not one a step
  CHECK(to_terminal([&] {
          set_log_level(LogLevel::quiet);
          work();
          set_log_level(LogLevel::info);
        }) == "");
  setenv("TERM", "dumb", 1);
  CHECK(to_terminal(work) == "");
  setenv("TERM", "xterm", 1);
}

TEST_CASE("progress counts every advance of several threads") {
  setenv("TERM", "xterm", 1);
  const std::string text = to_terminal([] {
    Progress progress("pictures", 4000);
    parallel_for(4000, 4, [&](int64_t) { progress.advance(); });
  });
  CHECK(has(text, "pictures [========================] 4000/4000"));
}

TEST_CASE("a line stays within the terminal and a log line clears it") {
  const std::string text = to_terminal([] {
    Progress progress("training", 10);
    progress.advance(10, std::string(200, 'x'));
    log_info("between");
  });
  CHECK(has(text, "\r\033[Kbetween"));
  const std::size_t begin = text.find("training"), end = text.find("\033[K");
  CHECK(end - begin == 59);
}

TEST_CASE("colour is used on a terminal unless NO_COLOR is set") {
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  CHECK(has(to_terminal([] { log_warning("x"); }), "\033[33m"));
  setenv("NO_COLOR", "1", 1);
  CHECK_FALSE(has(to_terminal([] { log_warning("x"); }), "\033["));
  unsetenv("NO_COLOR");
}
