// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/settings_yaml.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "finpercep/base/error.h"
#include "finpercep/base/text.h"

namespace finpercep::detail {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxDepth = 32;

/// Builds the tree from yaml-cpp's events, not from its nodes: nodes hide duplicate keys and nest as deep as the text likes.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& where) : where_(where) {}
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, {}); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { throw refused(mark, "an alias (*name)", "write the value out"); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.text = value;
    node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    add(mark, std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::set<std::string> keys;
    std::string key;
    bool has_key = false;
  };

  Error refused(const YAML::Mark& mark, const std::string& found, const std::string& advice) const {
    return usage_error(fmt::format("config: {}:{}: expected keys and values, found {}. {}", where_, mark.line + 1, found, advice));
  }

  bool wants_key() const { return !open_.empty() && open_.back().node.kind == YamlNode::Kind::map && !open_.back().has_key; }

  void add(const YAML::Mark& mark, YamlNode node) {
    if (node.line == 0) node.line = mark.line + 1;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (wants_key()) {
      if (node.kind != YamlNode::Kind::scalar)
        throw refused(mark, "a key that is not a word", "write name: value, and close every bracket");
      if (node.text == "<<" && !node.quoted) throw refused(mark, "a merge key (<<)", "write the values out");
      if (!parent.keys.insert(node.text).second)
        throw refused(mark, fmt::format("'{}' twice", node.text.substr(0, 60)), "keep one of them");
      parent.key = std::move(node.text);
      parent.has_key = true;
    } else if (parent.node.kind == YamlNode::Kind::map) {
      parent.node.entries.push_back({std::move(parent.key), std::move(node)});
      parent.has_key = false;
    } else {
      parent.node.items.push_back(std::move(node));
    }
  }

  void open(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (wants_key()) throw refused(mark, "a key that is not a word", "write name: value, and close every bracket");
    if (open_.size() >= kMaxDepth) throw refused(mark, fmt::format("more than {} levels", kMaxDepth), "settings are not that deep");
    open_.emplace_back();
    open_.back().node.kind = kind;
    open_.back().node.line = mark.line + 1;
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(YAML::Mark::null_mark(), std::move(done.node));
  }

  const std::string& where_;
  YamlNode root_;
  std::vector<Open> open_;
};

bool is_plain(const std::string& text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !(is_letter(text[0]) || text[0] == '/' || text[0] == '_')) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || std::string_view("_./-").find(c) != std::string_view::npos;
  });
}

/// Bytes of the code point at `i`, or 0 if they are not UTF-8 (RFC 3629: no overlong forms, no surrogates).
std::size_t utf8_length(const std::string& text, std::size_t i, uint32_t& point) {
  const auto byte = [&](std::size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(text[k])); };
  const uint32_t first = byte(i);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : (first & 0xf0) == 0xe0        ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || i + length > text.size()) return 0;
  point = length == 1 ? first : first & (0xffu >> (length + 1));
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
    point = (point << 6) | (byte(i + k) & 0x3f);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  return overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : length;
}

}  // namespace

YamlNode parse_yaml(const std::string& text, const std::string& where) {
  if (text.size() > kMaxBytes) {
    throw usage_error(
        fmt::format("config: {}: expected at most {} bytes, found {}. is this the right file?", where, kMaxBytes, text.size()));
  }
  if (text.find('\0') != std::string::npos)
    throw usage_error(fmt::format("config: {}: expected YAML text, found a zero byte. is this the right file?", where));
  uint32_t point = 0;
  for (std::size_t i = 0, length = 0; i < text.size(); i += length) {  // yaml-cpp would let some of it through
    length = utf8_length(text, i, point);
    if (length > 0) continue;
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
    throw usage_error(fmt::format("config: {}:{}: expected UTF-8, found byte 0x{:02x}. save the text as UTF-8", where, line,
                                  static_cast<unsigned char>(text[i])));
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(where);
    if (!parser.HandleNextDocument(builder)) return {};
    YamlNode root = builder.take();
    TreeBuilder second(where);
    if (parser.HandleNextDocument(second))
      throw usage_error(fmt::format("config: {}: expected one YAML document, found more. remove the '---' lines", where));
    return root;
  } catch (const YAML::Exception& error) {
    throw usage_error(fmt::format("config: {}:{}: malformed YAML: {}. correct it, or put text with special characters in quotes", where,
                                  error.mark.is_null() ? 1 : error.mark.line + 1, error.msg));
  }
}

std::string quote_yaml(const std::string& text) {
  static const std::set<std::string> words = {"null", "true", "false", "yes", "no",
                                              "on",   "off",  "y",     "n"};  // YAML reads these as other types
  if (is_plain(text) && !words.count(lower_case(text))) return text;
  std::string quoted = "\"";
  for (std::size_t i = 0; i < text.size();) {
    uint32_t point = 0;
    const std::size_t length = utf8_length(text, i, point);
    if (length == 0) throw usage_error(fmt::format("config: '{}': expected UTF-8. rename the file or setting", text));
    if (point == '"' || point == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(point);
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
      quoted += fmt::format("\\x{:02x}", point);
    } else if (point == 0x2028 || point == 0x2029 || point == 0xfeff || point == 0xfffe || point == 0xffff) {
      quoted += fmt::format("\\u{:04x}", point);  // line breaks and byte order marks to some readers
    } else {
      quoted.append(text, i, length);
    }
    i += length;
  }
  return quoted + '"';
}

bool parse_scalar(const YamlNode& node, std::string& value) {
  value = node.text;
  return true;
}

bool parse_scalar(const YamlNode& node, bool& value) {
  static const std::pair<const char*, bool> words[] = {{"true", true}, {"false", false}, {"yes", true},
                                                       {"no", false},  {"on", true},     {"off", false}};
  for (const auto& [word, meaning] : words) {
    std::string capital = word, upper = word;
    for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
    capital[0] = upper[0];
    if (node.quoted || (node.text != word && node.text != capital && node.text != upper)) continue;
    value = meaning;
    return true;
  }
  return false;
}

namespace {

template <class Number>
bool scalar_number(const YamlNode& node, Number& value) {
  std::string_view text = node.text;
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto parsed = parse_number<Number>(text);
  if (node.quoted || !parsed) return false;
  value = *parsed;
  return true;
}

}  // namespace

bool parse_scalar(const YamlNode& node, int64_t& value) { return scalar_number(node, value); }
bool parse_scalar(const YamlNode& node, double& value) { return scalar_number(node, value); }

}  // namespace finpercep::detail
