// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/test_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <sstream>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

bool fits_a_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string("._@-").find(c) != std::string::npos;
  });
}

}  // namespace

Named parse_named(const std::string& text, const std::string& where) {
  const auto equals = text.find('=');
  if (text.empty() || equals + 1 == text.size()) throw usage_error(fmt::format("{}: expected WHAT or ROW=WHAT, found '{}'", where, text));
  if (equals == std::string::npos || !fits_a_name(text.substr(0, equals)) || std::filesystem::exists(text)) return {text, text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void check_name(const std::string& name, const std::string& what) {
  if (!fits_a_name(name)) throw usage_error(fmt::format("{}: expected a name of letters, digits and . _ @ -, found '{}'", what, name));
}

TestSet parse_test_set(const std::string& text, const std::string& where) {
  const auto equals = text.find('=');
  std::vector<std::string> folders;
  std::istringstream rest(equals == std::string::npos ? "" : text.substr(equals + 1));
  for (std::string folder; std::getline(rest, folder, ':');) folders.push_back(folder);
  if (text.ends_with(':')) folders.emplace_back();
  if (folders.size() < 2 || (folders[0].empty() && folders.size() == 2))
    throw usage_error(fmt::format("{}: expected NAME=LQ:GT, NAME=LQ:GT:SR.. or NAME=:GT:SR.., found '{}'", where, text));
  TestSet set{text.substr(0, equals), folders[0], folders[1], {}};
  check_name(set.name, fmt::format("{}: '{}'", where, text));
  for (std::size_t i = 2; i < folders.size(); ++i) set.made.push_back(parse_named(folders[i], fmt::format("{}: {}", where, text)));
  return set;
}

}  // namespace finpercep
