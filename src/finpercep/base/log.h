// SPDX-License-Identifier: Apache-2.0
// Log and progress go to stderr; stdout carries data only.
#pragma once
#include <cstdint>
#include <string>

namespace finpercep {

enum class LogLevel { quiet, info };  ///< quiet (-q) still prints warnings

void set_log_level(LogLevel level);
/// Every line is also appended to this file (a run directory's log.txt); "" stops that.
void set_log_file(const std::string& path);
void log_info(const std::string& line);
void log_warning(const std::string& line);

/// A bar with rate and time left on stderr, drawn only on a terminal and not when quiet. advance() may come from any thread.
class Progress {
 public:
  Progress(std::string label, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// `note` is shown behind the bar, e.g. the current loss.
  void advance(int64_t by = 1, const std::string& note = "");

 private:
  void draw(const std::string& note);  // under the lock of all lines
  std::string label_;
  int64_t total_, done_ = 0;
  double started_, drawn_ = 0;
  bool shown_;
};

}  // namespace finpercep
