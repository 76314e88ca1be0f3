// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/test_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "finpercep/base/error.h"

namespace finpercep {

void check_name(const std::string& name, const std::string& what) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string("._@-").find(c) != std::string::npos;
  };
  if (name.empty() || name.front() == '.' || !std::ranges::all_of(name, fits))
    throw usage_error(fmt::format("{}: expected a name of letters, digits and . _ @ -, found '{}'", what, name));
}

TestSet parse_test_set(const std::string& text, const std::string& where) {
  const auto equals = text.find('=');
  const std::string paths = equals == std::string::npos ? "" : text.substr(equals + 1);
  const auto first = paths.find(':'), second = first == std::string::npos ? first : paths.find(':', first + 1);
  if (first == std::string::npos) throw usage_error(fmt::format("{}: expected NAME=LQ:GT or NAME=LQ:GT:SR, found '{}'", where, text));
  check_name(text.substr(0, equals), fmt::format("{}: '{}'", where, text));
  return {text.substr(0, equals), paths.substr(0, first),
          paths.substr(first + 1, second == std::string::npos ? second : second - first - 1),
          second == std::string::npos ? "" : paths.substr(second + 1)};
}

}  // namespace finpercep
