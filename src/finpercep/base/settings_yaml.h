// SPDX-License-Identifier: Apache-2.0
// The part of YAML that settings use: maps, lists and scalars. Internal to base.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace finpercep::detail {

struct YamlEntry;

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;                ///< of a scalar
  bool quoted = false;             ///< '12' is text, 12 is a number
  int line = 0;                    ///< counted from 1
  std::vector<YamlNode> items;     ///< of a list
  std::vector<YamlEntry> entries;  ///< of a map, in the order of the text
};
struct YamlEntry {  // not a pair: a pair asks about its parts before they are complete, which clang refuses
  std::string first;
  YamlNode second;
};

/// One document of at most 1 MiB and limited depth, without duplicate keys, aliases or merge keys. Throws usage_error.
YamlNode parse_yaml(const std::string& text, const std::string& where);

/// As a scalar of YAML that reads back as this text: plain where that is safe, else in double quotes.
std::string quote_yaml(const std::string& text);

/// The value of a scalar node, strictly: no trailing junk, no NaN or infinity, no overflow. False if it is not one.
bool parse_scalar(const YamlNode& node, std::string& value);
bool parse_scalar(const YamlNode& node, bool& value);
bool parse_scalar(const YamlNode& node, int64_t& value);
bool parse_scalar(const YamlNode& node, double& value);

}  // namespace finpercep::detail
