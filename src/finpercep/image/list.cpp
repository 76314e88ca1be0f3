// SPDX-License-Identifier: Apache-2.0
#include <glob.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"
#include "finpercep/image/io.h"

namespace fs = std::filesystem;

namespace finpercep {
namespace {

bool ends_in_one_of(const fs::path& path, std::initializer_list<const char*> endings) {
  const std::string name = lower_case(path.extension().string());
  const bool hidden = path.filename().string().starts_with('.');  // macOS leaves ._photo.jpg that is no photo
  return !hidden && std::find(endings.begin(), endings.end(), name) != endings.end();
}

}  // namespace

bool has_image_name(const fs::path& path) { return ends_in_one_of(path, {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}); }

namespace {

bool of_other_format(const fs::path& path) { return ends_in_one_of(path, {".gif", ".avif", ".jp2", ".heic", ".jxl", ".exr"}); }

// A dangling link or a pipe stays in the list: reading it gives an error, leaving it out would give a wrong average.
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<fs::path> in_folder(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  int64_t others = 0;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    others += of_other_format(entry->path());
    if (has_image_name(entry->path()) && !is_folder(entry->path())) found.push_back(entry->path());
  }
  if (error == std::errc::not_enough_memory) throw std::bad_alloc();
  if (error) throw input_error(fmt::format("list images: {}: {}. check the permissions", folder.string(), error.message()));
  if (found.empty()) {
    throw input_error(
        fmt::format("list images: {}: expected pictures, found none in this folder (folders inside are not searched). "
                    "name the folder that holds .png, .jpg, .webp, .tif or .bmp files",
                    folder.string()));
  }
  if (others > 0)
    log_warning(fmt::format("{}: {} pictures of formats that are not read (.gif, .avif, ..) are left out. convert them to PNG",
                            folder.string(), others));
  return found;
}

std::vector<fs::path> in_glob(const std::string& pattern) {
  std::string escaped;  // only * and ? are special: photo[1].png is a plain name
  for (const char c : pattern) {
    if (std::strchr("[]\\", c) != nullptr) escaped += '\\';
    escaped += c;
  }
  glob_t matches = {};
  const int status = ::glob(escaped.c_str(), GLOB_NOSORT, nullptr, &matches);
  const std::unique_ptr<glob_t, decltype(&::globfree)> release(&matches, &::globfree);
  if (status == GLOB_NOSPACE) throw std::bad_alloc();
  std::vector<fs::path> found;
  for (std::size_t i = 0; status == 0 && i < matches.gl_pathc; ++i) {
    fs::path path = matches.gl_pathv[i];
    if (has_image_name(path) && !is_folder(path)) found.push_back(std::move(path));
  }
  if (found.empty())
    throw input_error(fmt::format("list images: {}: expected pictures, found nothing that matches. check the pattern", pattern));
  return found;
}

bool exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

void add(const std::string& input, std::vector<fs::path>& all) {
  std::vector<fs::path> found;
  if (is_folder(input)) {
    found = in_folder(input);
  } else if (exists(input)) {
    all.emplace_back(input);  // whatever its name: what it is, is decided by its content
    return;
  } else if (input.find_first_of("*?") != std::string::npos) {
    found = in_glob(input);
  } else {
    const bool relative = std::filesystem::path(input).is_relative();
    const bool home = input.starts_with("~/");
    throw input_error(fmt::format("list images: '{}': no such file or folder{}. {}", input,
                                  relative ? " in " + std::filesystem::current_path().string() : "",
                                  home ? "a shell knows ~ only where a word begins with it: write the folder in full" : "check the path"));
  }
  std::sort(found.begin(), found.end());
  all.insert(all.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

/// `text` has one path a line, or ended by a zero byte as `find -print0` does; `list` names it in errors.
void add_list(const std::string& text, const std::string& list, std::vector<fs::path>& all) {
  const std::size_t before = all.size();
  const char separator = text.find('\0') == std::string::npos ? '\n' : '\0';
  int line_number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (line_number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || (line.starts_with('#') && !exists(line))) continue;  // a remark
    if (!exists(line))
      throw input_error(fmt::format("list images: {}: line {}: '{}': no such file. correct the list", list, line_number, line));
    add(line, all);
  }
  if (all.size() == before) throw input_error(fmt::format("list images: {}: expected one path a line, found none. fill the list", list));
}

// A pipe from find or git, so bounded as a list file is.
std::string read_stdin() {
  constexpr std::size_t limit = std::size_t{1} << 26;
  std::string text;
  char block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof block, stdin)) {
    text.append(block, count);
    if (text.size() > limit)
      throw input_error(fmt::format("list images: stdin: expected at most {} bytes of paths, found more. split the list", limit));
  }
  return text;
}

}  // namespace

std::vector<fs::path> list_images(const std::vector<std::string>& inputs) {
  std::vector<fs::path> all;
  for (const std::string& input : inputs) {
    if (input == "-") {
      add_list(read_stdin(), "stdin", all);
    } else if (input.size() > 1 && input.front() == '@' && !exists(input)) {
      add_list(read_text_file(input.substr(1)), input.substr(1), all);
    } else if (input.ends_with(".txt") && exists(input) && !is_folder(input)) {  // no picture is called that
      add_list(read_text_file(input), input, all);
    } else {
      add(input, all);
    }
  }
  const std::size_t named = all.size();
  std::set<fs::path> seen;
  std::erase_if(all, [&](const fs::path& path) { return !seen.insert(fs::absolute(path).lexically_normal()).second; });
  if (all.size() < named)
    log_warning(fmt::format("list images: {} of {} pictures were named more than once, and are taken once", named - all.size(), named));
  if (all.empty()) throw input_error("list images: expected at least one file, folder, pattern or @LIST, found none. name one");
  return all;
}

}  // namespace finpercep
