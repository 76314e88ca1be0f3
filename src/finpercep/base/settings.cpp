// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/settings_yaml.h"

namespace finpercep {
namespace {

using detail::parse_scalar;
using detail::parse_yaml;
using detail::YamlNode;

std::string number_text(double value) { return fmt::format("{}", value); }  // shortest form that reads back the same

template <class T>
constexpr const char* expected_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, int64_t>) return "a whole number";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "text";
}

/// "in 0 .. 1", "of at least 0", "" for no limit.
std::string range_text(Range range) {
  const bool low = range.min > -std::numeric_limits<double>::infinity(), high = range.max < std::numeric_limits<double>::infinity();
  if (low && high) return fmt::format("in {} .. {}", range.min, range.max);
  if (low) return fmt::format("of at least {}", range.min);
  if (high) return fmt::format("of at most {}", range.max);
  return "";
}

std::string scalar_text(bool value) { return value ? "true" : "false"; }
std::string scalar_text(int64_t value) { return fmt::format("{}", value); }
std::string scalar_text(double value) { return number_text(value); }
std::string scalar_text(const std::string& value) { return detail::quote_yaml(value); }
template <class List>
std::string scalar_text(const List& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + scalar_text(value);
  return text + "]";
}

/// Keeps the dotted path of the groups that are open, and hands all field types to one template.
template <class Derived>
class Visitor : public SettingsVisitor {
 public:
  void field(const char* name, bool& value, const char* help) override { self().any(name, value, help, Range{}, {}); }
  void field(const char* name, int64_t& value, const char* help, Range range) override { self().any(name, value, help, range, {}); }
  void field(const char* name, double& value, const char* help, Range range) override { self().any(name, value, help, range, {}); }
  void field(const char* name, std::string& value, const char* help) override { self().any(name, value, help, Range{}, {}); }
  void choice(const char* name, std::string& value, const char* help, std::vector<std::string> allowed) override {
    self().any(name, value, help, Range{}, allowed);
  }
  void choice(const char* name, std::vector<std::string>& value, const char* help, std::vector<std::string> allowed) override {
    self().any(name, value, help, Range{}, allowed);
  }
  void field(const char* name, std::vector<int64_t>& value, const char* help, Range range) override {
    self().any(name, value, help, range, {});
  }
  void field(const char* name, std::vector<double>& value, const char* help, Range range) override {
    self().any(name, value, help, range, {});
  }
  void field(const char* name, std::vector<std::string>& value, const char* help) override { self().any(name, value, help, Range{}, {}); }
  void field(const char* name, std::array<double, 2>& value, const char* help, Range range) override {
    self().any(name, value, help, range, {});
  }

 protected:
  std::string path_of(const std::string& name) const {
    return fmt::format("{}{}{}", fmt::join(groups_, "."), groups_.empty() ? "" : ".", name);
  }
  std::vector<std::string> groups_;

 private:
  Derived& self() { return static_cast<Derived&>(*this); }
};

/// All paths of a settings struct, for suggestions.
class PathLister : public Visitor<PathLister> {
 public:
  std::vector<std::string> paths;
  template <class T>
  void any(const char* name, T&, const char*, Range, const std::vector<std::string>&) {
    paths.push_back(path_of(name));
  }

 protected:
  bool begin_group(const char* name, const char*) override {
    groups_.push_back(name);
    return true;
  }
  void end_group() override { groups_.pop_back(); }
};

/// Copies the values of a tree into the settings and refuses what it does not know.
class Loader : public Visitor<Loader> {
 public:
  Loader(const YamlNode& root, std::string where, bool has_lines, const std::vector<std::string>& paths) : paths_(paths) {
    frames_.push_back({&root, std::move(where), has_lines, nullptr, {}});
  }
  /// To be called when the root struct has been visited.
  void finish() { leave(); }

  template <class T>
  void any(const char* name, T& value, const char*, Range range, const std::vector<std::string>& allowed) {
    const YamlNode* node = take(name);
    if (node) read(*node, path_of(name), value, range, allowed);
  }

 protected:
  bool begin_group(const char* name, const char*) override {
    const YamlNode* node = take(name);
    groups_.push_back(name);
    if (node && node->kind == YamlNode::Kind::null) node = nullptr;  // "train:" with nothing below it
    Frame frame{node, frames_.back().where, frames_.back().has_lines, nullptr, {}};
    if (node && node->kind == YamlNode::Kind::scalar && node->text.ends_with(".yaml")) {
      // Named in a file: relative to that file. Named by --set: to the working directory.
      const std::filesystem::path folder = frame.has_lines ? std::filesystem::path(frame.where).parent_path() : std::filesystem::path();
      frame.where = (folder / node->text).lexically_normal().string();
      frame.file = std::make_unique<YamlNode>(parse_yaml(read_config_text(frame.where), frame.where));
      frame.map = frame.file.get();
      frame.has_lines = true;
      if (frame.map->kind == YamlNode::Kind::null) frame.map = nullptr;
    }
    const bool mentioned = frame.map != nullptr;
    if (mentioned && frame.map->kind != YamlNode::Kind::map)
      throw wrong(*node, path_of_group(), "keys and values, or a .yaml file of them", "");
    frames_.push_back(std::move(frame));
    return mentioned;
  }
  void end_group() override {
    leave();
    groups_.pop_back();
  }

 private:
  struct Frame {
    const YamlNode* map;  ///< null: the text does not mention this group
    std::string where;    ///< the source that mentions it
    bool has_lines;
    std::unique_ptr<YamlNode> file;  ///< of a group that is written as the name of a file
    std::vector<std::string> known;
  };

  void leave() {
    const Frame& frame = frames_.back();
    if (frame.map) {
      for (const auto& [key, node] : frame.map->entries) {
        if (std::find(frame.known.begin(), frame.known.end(), key) == frame.known.end()) throw unknown(key, node, frame.known);
      }
    }
    frames_.pop_back();
  }

  const YamlNode* take(const char* name) {
    Frame& frame = frames_.back();
    frame.known.push_back(name);
    if (!frame.map) return nullptr;
    for (const auto& [key, node] : frame.map->entries) {
      if (key == name) return &node;
    }
    return nullptr;
  }

  std::string path_of_group() const { return fmt::format("{}", fmt::join(groups_, ".")); }
  std::string place(const YamlNode& node) const {
    return frames_.back().has_lines ? fmt::format("{}:{}", frames_.back().where, node.line) : frames_.back().where;
  }

  Error unknown(const std::string& key, const YamlNode& node, const std::vector<std::string>& known) const {
    std::string advice;
    const std::string near = nearest(key, known);
    if (!near.empty()) {
      advice = fmt::format("did you mean {}?", path_of(near));
    } else {  // right name, wrong group?
      std::vector<std::string> found;
      for (const std::string& path : paths_)
        if (path == key || path.ends_with("." + key)) found.push_back(path);
      if (!found.empty()) advice = fmt::format("did you mean {}?", fmt::join(found, " or "));
    }
    if (advice.empty()) advice = known.empty() ? "remove it" : fmt::format("known here: {}", fmt::join(known, ", "));
    return usage_error(fmt::format("config: {}: {}: unknown key. {}", place(node), path_of(key.substr(0, 80)), advice));
  }

  Error wrong(const YamlNode& node, const std::string& path, const std::string& expected, const std::string& advice) const {
    std::string found;
    switch (node.kind) {
      case YamlNode::Kind::null:
        found = "nothing";
        break;
      case YamlNode::Kind::list:
        found = "a list";
        break;
      case YamlNode::Kind::map:
        found = "keys and values";
        break;
      case YamlNode::Kind::scalar:
        found = fmt::format("'{}'{}", node.text.substr(0, 60), node.quoted ? " in quotes" : "");
        break;
    }
    return mismatch(node, path, expected, found, advice);
  }
  Error mismatch(const YamlNode& node, const std::string& path, const std::string& expected, const std::string& found,
                 const std::string& advice) const {
    return usage_error(
        fmt::format("config: {}: {}: expected {}, found {}{}{}", place(node), path, expected, found, advice.empty() ? "" : ". ", advice));
  }

  template <class T>
  void read(const YamlNode& node, const std::string& path, T& value, Range range, const std::vector<std::string>& allowed) const {
    T parsed{};
    if (node.kind == YamlNode::Kind::null && std::is_same_v<T, std::string>) throw wrong(node, path, "text", "write \"\" for empty text");
    if (node.kind != YamlNode::Kind::scalar || !parse_scalar(node, parsed)) throw wrong(node, path, expected_name<T>(), "");
    if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
      const auto number = static_cast<double>(parsed);
      if (number < range.min || number > range.max)
        throw wrong(node, path, fmt::format("{} {}", expected_name<T>(), range_text(range)), "");
    }
    if constexpr (std::is_same_v<T, std::string>) {
      if (parsed.find('\0') != std::string::npos) throw wrong(node, path, "text without zero characters", "");
      if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), parsed) == allowed.end()) {
        const std::string near = nearest(parsed, allowed);
        throw wrong(node, path, fmt::format("one of {}", fmt::join(allowed, ", ")),
                    near.empty() ? "" : fmt::format("did you mean {}?", near));
      }
    }
    value = std::move(parsed);
  }

  template <class T>
  void read(const YamlNode& node, const std::string& path, std::vector<T>& values, Range range,
            const std::vector<std::string>& allowed) const {
    if (node.kind != YamlNode::Kind::list) {
      throw wrong(node, path, "a list",
                  node.kind == YamlNode::Kind::scalar ? fmt::format("write [{}]", node.text.substr(0, 60)) : "write [a, b]");
    }
    if (node.items.empty() && !allowed.empty())
      throw mismatch(node, path, fmt::format("at least one of {}", fmt::join(allowed, ", ")), "none", "");
    std::vector<T> parsed(node.items.size());
    for (std::size_t i = 0; i < parsed.size(); ++i) read(node.items[i], fmt::format("{}[{}]", path, i), parsed[i], range, allowed);
    values = std::move(parsed);
  }

  void read(const YamlNode& node, const std::string& path, std::array<double, 2>& pair, Range range,
            const std::vector<std::string>& allowed) const {
    std::vector<double> parsed;
    read(node, path, parsed, range, allowed);
    if (parsed.size() != pair.size()) throw mismatch(node, path, "two numbers", fmt::format("{}", parsed.size()), "write [a, b]");
    if (range.rising && parsed[0] > parsed[1]) throw mismatch(node, path, "[low, high]", scalar_text(parsed), "swap the two numbers");
    pair = {parsed[0], parsed[1]};
  }

  const std::vector<std::string>& paths_;
  std::vector<Frame> frames_;
};

/// Settings as YAML; `described` puts beside each key what it means and what it may be.
class YamlWriter : public Visitor<YamlWriter> {
 public:
  explicit YamlWriter(bool described) : described_(described) {}
  std::string text;
  template <class T>
  void any(const char* name, const T& value, const char* help, Range range, const std::vector<std::string>& allowed) {
    check_finite(name, value);
    std::string about = help;
    if (!allowed.empty()) about += fmt::format(" ({})", fmt::join(allowed, ", "));
    if (!range_text(range).empty()) about += fmt::format(" ({})", range_text(range));
    line(fmt::format("{}: {}", name, scalar_text(value)), about);
    empty_ = false;
  }

 protected:
  bool begin_group(const char* name, const char* help) override {
    const std::string entry = fmt::format("{}:", name);
    after_group_ = text.size() + 2 * groups_.size() + entry.size();
    line(entry, help);
    groups_.push_back(name);
    empty_ = true;
    return true;
  }
  void end_group() override {
    groups_.pop_back();
    if (empty_) text.insert(after_group_, " {}");
    empty_ = false;
  }

 private:
  void line(const std::string& entry, const std::string& about) {
    const std::string indented = std::string(2 * groups_.size(), ' ') + entry;
    text += described_ ? fmt::format("{:<36}  # {}\n", indented, about) : indented + "\n";
  }
  template <class T>
  void check_finite(const char*, const T&) const {}
  void check_finite(const char* name, const double& value) const {
    if (!std::isfinite(value))
      throw internal_error(fmt::format("config: {}: {} cannot be written, it would not load", path_of(name), value));
  }
  void check_finite(const char* name, const std::vector<double>& values) const {
    for (const double& value : values) check_finite(name, value);
  }
  void check_finite(const char* name, const std::array<double, 2>& pair) const {
    for (const double& value : pair) check_finite(name, value);
  }
  bool described_;
  bool empty_ = false;           ///< the open group has no field yet
  std::size_t after_group_ = 0;  ///< behind the colon of the group opened last
};

/// "a.b=c" as the tree {a: {b: c}}.
YamlNode tree_of_override(const std::string& override_text, const std::string& where) {
  const std::size_t equals = override_text.find('=');
  const std::string path = override_text.substr(0, equals);
  if (equals == std::string::npos || path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos) {
    throw usage_error(fmt::format("config: {}: expected key=value or group.key=value", where));
  }
  if (std::count(path.begin(), path.end(), '.') > 31) throw usage_error(fmt::format("config: {}: settings are not that deep", where));
  const std::string value = override_text.substr(equals + 1);
  YamlNode node;
  if (value.find_first_not_of(" \t") == std::string::npos) {
    node.kind = YamlNode::Kind::scalar;  // "name=" empties a text
  } else {
    node = detail::parse_yaml(value, where);
  }
  if (node.kind == YamlNode::Kind::map) {
    throw usage_error(
        fmt::format("config: {}: expected one value or a list [a, b], found keys and values. put text with ': ' in quotes", where));
  }
  for (std::size_t end = path.size(), dot = 0; end != std::string::npos; end = dot) {
    dot = end == 0 ? std::string::npos : path.rfind('.', end - 1);
    const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
    YamlNode parent;
    parent.kind = YamlNode::Kind::map;
    parent.entries.push_back({path.substr(begin, end - begin), std::move(node)});
    node = std::move(parent);
  }
  return node;
}

}  // namespace

namespace detail {

void load(Visitable settings, const std::string& yaml_text, const std::string& where, const std::vector<std::string>& overrides) {
  PathLister lister;
  settings(lister);
  const auto apply = [&](const YamlNode& tree, const std::string& source, bool has_lines) {
    Loader loader(tree, source, has_lines, lister.paths);
    settings(loader);
    loader.finish();
  };
  const YamlNode root = parse_yaml(yaml_text, where);
  if (root.kind != YamlNode::Kind::map && root.kind != YamlNode::Kind::null) {
    throw usage_error(fmt::format("config: {}:{}: expected keys and values, found {}. is this the right file?", where, root.line,
                                  root.kind == YamlNode::Kind::list ? "a list" : "'" + root.text.substr(0, 60) + "'"));
  }
  apply(root, where, true);
  for (const std::string& override_text : overrides) {
    const std::string source = "--set " + override_text.substr(0, 120);
    apply(tree_of_override(override_text, source), source, false);
  }
}

std::string to_yaml(Visitable settings) {
  YamlWriter writer(false);
  settings(writer);
  return writer.text.empty() ? "{}\n" : writer.text;
}

std::string describe(Visitable settings) {
  YamlWriter writer(true);
  settings(writer);
  return writer.text;
}

}  // namespace detail

std::string read_config_text(const std::string& path) { return path.empty() ? "" : read_text_file(path, uint64_t{1} << 20); }

}  // namespace finpercep
