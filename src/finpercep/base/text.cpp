// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/text.h"

#include <fmt/format.h>

#include <sstream>

namespace finpercep {

std::string one_line(const std::string& text) {
  std::string line;
  line.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 .. U+009F steer terminals too
      line += fmt::format("\\x{:02x}", next);
      ++i;
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

std::optional<std::pair<std::string, std::string>> first_difference(const std::string& a, const std::string& b) {
  std::istringstream of_a(a), of_b(b);
  while (of_a && of_b) {
    std::string line, other;
    std::getline(of_a, line);
    std::getline(of_b, other);
    if (line != other) return std::pair(line, other);
  }
  return std::nullopt;
}

}  // namespace finpercep
