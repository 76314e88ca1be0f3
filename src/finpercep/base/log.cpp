// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/text.h"

namespace finpercep {
namespace {

std::mutex mutex;
LogLevel level = LogLevel::info;
std::string file;
bool file_failed = false;
bool bar_on_screen = false;  // a log line must clear it first

bool on_terminal() {
  const char* terminal = std::getenv("TERM");
  return isatty(2) == 1 && !(terminal && std::string_view(terminal) == "dumb");
}

bool colours() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org: set and not empty
  return on_terminal() && !(no_color && *no_color);
}

void to_screen(const std::string& text) {
  write_all(2, bar_on_screen ? "\r\033[K" + text : text);
  bar_on_screen = false;
}

// Opened for each line: lines are rare, and a log that was moved away or deleted is simply started again.
void to_file(const std::string& line) {
  if (file.empty()) return;
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S ", &local);
  const std::string text = stamp + line + "\n";
  Descriptor fd(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  const bool written = fd.get() >= 0 && write_all(fd.get(), text) && fd.close();
  const int error = errno;
  if (!written && !file_failed) to_screen(fmt::format("warning: log: {}: {}. the run goes on without it\n", file, std::strerror(error)));
  file_failed = !written;
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int terminal_width() {
  winsize size = {};
  return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string clock_text(double duration) {
  const auto s = static_cast<int64_t>(std::min(duration, 1e9) + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) : fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string rate_text(double rate) {
  return rate >= 1 || rate <= 0 ? fmt::format("{:.1f}/s", rate) : fmt::format("{:.1f} s each", 1 / rate);
}

/// At most `width` code points, no control characters.
std::string fit(const std::string& line, int width) {
  std::string fitted;
  int points = 0;
  for (const char c : line) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++points > width) break;
    fitted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return fitted;
}

}  // namespace

void set_log_level(LogLevel new_level) {
  std::lock_guard lock(mutex);
  level = new_level;
}

void set_log_file(const std::string& path) {
  if (!path.empty()) {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
    if (fd.get() < 0) throw input_error(fmt::format("log: {}: {}. choose a folder that can be written", path, std::strerror(errno)));
  }
  std::lock_guard lock(mutex);
  file = path;
  file_failed = false;
}

void log_info(const std::string& text) {
  const std::string line = one_line(text);
  std::lock_guard lock(mutex);
  if (level != LogLevel::quiet) to_screen(line + "\n");
  to_file(line);
}

void log_warning(const std::string& text) {
  const std::string line = one_line(text);
  std::lock_guard lock(mutex);
  to_screen(colours() ? "\033[33mwarning:\033[0m " + line + "\n" : "warning: " + line + "\n");
  to_file("warning: " + line);
}

Progress::Progress(std::string label, int64_t total) : label_(std::move(label)), total_(total), started_(seconds()) {
  std::lock_guard lock(mutex);
  shown_ = level != LogLevel::quiet && on_terminal();
}

Progress::~Progress() {
  if (!shown_) return;
  std::lock_guard lock(mutex);
  if (bar_on_screen) write_all(2, "\n");  // the last state stays on screen
  bar_on_screen = false;
}

void Progress::advance(int64_t by, const std::string& note) {
  if (!shown_) return;
  std::lock_guard lock(mutex);
  done_ += by;
  const double now = seconds();
  if (now - drawn_ < 0.1 && done_ != total_) return;
  drawn_ = now;
  draw(note);
}

void Progress::draw(const std::string& note) {
  const double spent = seconds() - started_, rate = spent > 0 ? static_cast<double>(done_) / spent : 0;
  std::string line;
  if (total_ > 0) {
    constexpr int64_t cells = 24;
    const int64_t done = std::clamp<int64_t>(done_, 0, total_);
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    const auto full = static_cast<std::size_t>(share * cells);
    const std::string left = done == total_ ? clock_text(spent)
                             : rate > 0     ? clock_text(static_cast<double>(total_ - done) / rate) + " left"
                                            : "";
    line = fmt::format("{} [{}{}] {}/{}  {}  {}", label_, std::string(full, '='), std::string(cells - full, ' '), done_, total_,
                       rate_text(rate), left);
  } else {
    line = fmt::format("{} {}  {}  {}", label_, done_, rate_text(rate), clock_text(spent));
  }
  if (!note.empty()) line += "  " + note;
  write_all(2, fmt::format("\r{}\033[K", fit(line, terminal_width() - 1)));
  bar_on_screen = true;
}

}  // namespace finpercep
