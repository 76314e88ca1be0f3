// SPDX-License-Identifier: Apache-2.0
// Words and numbers in text, read the same in every locale.
#pragma once
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace finpercep {

/// The text with its control characters spelt out: one line even where a file name or a config value in it is not, and it cannot steer the
/// terminal.
std::string one_line(const std::string& text);

/// The number that the whole text is; nothing for blanks, a leading '+', other characters, what does not fit T and what is not finite.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [reached, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || reached != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(value)) return std::nullopt;
  return value;
}

/// The first lines in which two texts differ; "" for one that has ended.
std::optional<std::pair<std::string, std::string>> first_difference(const std::string& a, const std::string& b);

/// A to Z become a to z, every other byte stays.
inline std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace finpercep
