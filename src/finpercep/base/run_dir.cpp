// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"

namespace fs = std::filesystem;

namespace finpercep {
namespace {

constexpr uint64_t kMetricsLimit = uint64_t{1} << 32;

Error failed(const char* what, const fs::path& path) {
  return input_error(fmt::format("{}: {}: {}", what, path.string(), std::strerror(errno)));
}

std::string owner(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  const std::string_view found(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(found.substr(0, found.find_first_not_of("0123456789")));
}

/// The kernel drops an flock when its holder dies, however it dies, so a lock can be stale in its text only.
Descriptor take_lock(const fs::path& run) {
  const fs::path path = run / "lock";
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
  const int fd = lock.get();
  if (fd < 0) throw failed("lock", path);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) throw failed("lock", path);
    const std::string process = owner(fd);
    throw input_error(fmt::format("run: {}: in use by process {}. wait for it, stop it, or choose another run name", run.string(),
                                  process.empty() ? "(unknown)" : process));
  }
  const std::string dead = owner(fd);
  if (!dead.empty()) log_warning(fmt::format("run: {}: process {} ended without closing it; its lock is taken over", run.string(), dead));
  if (::ftruncate(fd, 0) != 0) throw failed("lock", path);
  if (!write_all(fd, fmt::format("{}\n", ::getpid()))) throw failed("write", path);
  return lock;
}

/// What a process that was killed while it wrote left behind, by the names that write_file gives. Who holds the lock is the only writer
/// here.
void remove_half_written(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(entry.path(), ignored);
  }
}

bool holds_run(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path / "metrics.jsonl", error)) return true;
  const fs::path checkpoints = path / "checkpoints";
  return fs::is_directory(checkpoints, error) && !fs::is_empty(checkpoints, error);
}

/// One line of metrics.jsonl; nothing when it is not an object of numbers and nulls.
bool parse_line(std::string_view line, std::map<std::string, double>& values) {
  // A flat object needs no deep nesting, and nothing past this point should cost memory in proportion to it.
  const auto json = nlohmann::json::parse(
      line.begin(), line.end(), [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return depth <= 1; }, false);
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_number() && !value.is_null()) return false;
    values[key] = value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  }
  return true;
}

struct Line {
  std::string_view text;
  int number;
  bool last;
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back({text.substr(0, end), static_cast<int>(lines.size()) + 1, end >= text.size() - 1});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

RunDir::RunDir(fs::path path, const std::string& config_yaml, bool resume) : path_(std::move(path)), config_(config_yaml) {
  make_directory(path_);
  lock_ = take_lock(path_);
  try {
    for (const char* folder : {"checkpoints", "samples"}) remove_half_written(path_ / folder);
    if (!resume && holds_run(path_)) {
      throw input_error(
          fmt::format("run: {}: already holds a run. pass --resume to go on with it, or choose another name", path_.string()));
    }
    make_directory(path_ / "checkpoints");
    make_directory(path_ / "samples");
    set_log_file((path_ / "log.txt").string());
    if (!holds_run(path_)) use_config();
    std::error_code ignored;
    // A line that a crash cut would swallow the next one.
    if (fs::exists(path_ / "metrics.jsonl", ignored)) truncate_metrics(std::numeric_limits<int64_t>::max());
  } catch (...) {
    set_log_file("");
    if (::ftruncate(lock_.get(), 0) != 0) { /* the flock itself goes with lock_ */
    }
    throw;
  }
}

void RunDir::use_config() {
  const fs::path config = path_ / "config.yaml";
  std::error_code ignored;
  if (fs::exists(config, ignored)) {
    const std::string before = read_text_file(config);
    const auto lines = first_difference(before, config_);
    if (!lines) return;
    std::string name = "config.previous.yaml";
    for (int k = 2; fs::exists(path_ / name, ignored); ++k) name = fmt::format("config.previous-{}.yaml", k);
    write_file(path_ / name, before);
    log_warning(
        fmt::format("run: {}: goes on with another config, first '{}' for '{}'; the one before is kept as {}. --resume without -c and "
                    "--set goes on with the run's own",
                    path_.string(), lines->second, lines->first, name));
  }
  write_file(config, config_);
}

void RunDir::use_inputs(const Inputs& inputs) {
  if (holds_run(path_)) expect_inputs(path_, inputs);  // one that has not begun is begun anew
  write_inputs(path_, inputs);
}

RunDir::~RunDir() {
  set_log_file("");
  if (::ftruncate(lock_.get(), 0) != 0) { /* the next run warns of a stale lock, no more */
  }
}

fs::path RunDir::checkpoint(const std::string& name) const { return path_ / "checkpoints" / (name + ".safetensors"); }

fs::path RunDir::sample(const std::string& name) const { return path_ / "samples" / name; }

void RunDir::log_metrics(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  nlohmann::ordered_json line;
  line["step"] = step;
  for (const auto& [key, value] : values) {
    if (std::isfinite(value)) {
      line[key] = value;
    } else {
      line[key] = nullptr;
    }
  }
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const fs::path path = path_ / "metrics.jsonl";
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
  if (fd.get() < 0 || !write_all(fd.get(), text)) throw failed("write", path);
  fd.close(path);
}

int64_t RunDir::last_step() const {
  const fs::path path = path_ / "metrics.jsonl";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return -1;
  double last = -1;
  for (const auto& row : read_metrics(path))
    if (const auto step = row.find("step"); step != row.end()) last = std::max(last, step->second);
  return static_cast<int64_t>(last);
}

void RunDir::truncate_metrics(int64_t step) {
  const fs::path path = path_ / "metrics.jsonl";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const std::string text = read_text_file(path, kMetricsLimit);
  std::string kept;
  for (const Line& line : lines_of(text)) {
    std::map<std::string, double> values;
    if (!parse_line(line.text, values) || !values.count("step")) {
      if (!line.last) log_warning(fmt::format("run: {}:{}: not a line of metrics; dropped", path.string(), line.number));
      continue;
    }
    if (values["step"] > static_cast<double>(step)) continue;
    kept += line.text;
    kept += '\n';
  }
  if (kept != text) write_file(path, kept);
}

std::vector<std::map<std::string, double>> read_metrics(const fs::path& file) {
  const std::string text = read_text_file(file, kMetricsLimit);
  std::vector<std::map<std::string, double>> rows;
  for (const Line& line : lines_of(text)) {
    std::map<std::string, double> values;
    if (parse_line(line.text, values)) {
      rows.push_back(std::move(values));
    } else if (!line.last) {
      throw input_error(fmt::format("metrics: {}:{}: expected a JSON object of numbers, found '{}'. delete that line", file.string(),
                                    line.number, line.text.substr(0, 60)));
    }
  }
  return rows;
}

}  // namespace finpercep
