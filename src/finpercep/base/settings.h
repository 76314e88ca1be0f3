// SPDX-License-Identifier: Apache-2.0
// Settings are plain structs. Each declares its fields once, in `void visit(SettingsVisitor&)`; defaults stand beside the
// members. From that one declaration come YAML reading with unknown-key errors, `--set a.b=c`, the resolved config that a
// run saves, range checks and the help text. A group may be given as the name of another YAML file, relative to the one that names it.
//
//   struct BlurSettings {
//     double sigma = 1.5;
//     void visit(SettingsVisitor& v) { v.field("sigma", sigma, "standard deviation, pixels", {.min = 0.1, .max = 20}); }
//   };
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace finpercep {

/// Closed range that a number (or each number of a list) must lie in.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool rising = false;  ///< of a pair: [low, high] with low <= high
};

class SettingsVisitor {
 public:
  virtual ~SettingsVisitor() = default;
  virtual void field(const char* name, bool& value, const char* help) = 0;
  virtual void field(const char* name, int64_t& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, double& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, std::string& value, const char* help) = 0;
  /// A string that must be one of `allowed`.
  virtual void choice(const char* name, std::string& value, const char* help, std::vector<std::string> allowed) = 0;
  /// At least one of `allowed`.
  virtual void choice(const char* name, std::vector<std::string>& value, const char* help, std::vector<std::string> allowed) = 0;
  virtual void field(const char* name, std::vector<int64_t>& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, std::vector<double>& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, std::vector<std::string>& value, const char* help) = 0;
  /// Two numbers, no more and no fewer.
  virtual void field(const char* name, std::array<double, 2>& value, const char* help, Range range = {}) = 0;

  /// A nested struct.
  template <class Settings>
  void group(const char* name, Settings& settings, const char* help) {
    if (begin_group(name, help)) settings.visit(*this);
    end_group();
  }

 protected:
  virtual bool begin_group(const char* name, const char* help) = 0;
  virtual void end_group() = 0;
};

namespace detail {
class Visitable {  // a settings struct with its type erased
 public:
  template <class Settings>
  explicit Visitable(Settings& s) : object_(&s), visit_([](void* o, SettingsVisitor& v) { static_cast<Settings*>(o)->visit(v); }) {}
  void operator()(SettingsVisitor& v) const { visit_(object_, v); }

 private:
  void* object_;
  void (*visit_)(void*, SettingsVisitor&);
};
void load(Visitable settings, const std::string& yaml_text, const std::string& where, const std::vector<std::string>& overrides);
std::string to_yaml(Visitable settings);
std::string describe(Visitable settings);
}  // namespace detail

/// Reads YAML (at most 1 MiB, no duplicate keys) into `settings`, then applies `overrides` ("a.b=c", from --set).
/// `where` names the source in errors. Throws usage_error for an unknown key (naming the nearest known one), a wrong type
/// ("train.lr: expected a number, found 'fast'"), a value out of range, or malformed YAML (with its line).
template <class Settings>
void load_settings(Settings& settings, const std::string& yaml_text, const std::string& where,
                   const std::vector<std::string>& overrides = {}) {
  detail::load(detail::Visitable(settings), yaml_text, where, overrides);
}

/// The text of a config for load_settings; empty for an empty path. A missing file is an input_error.
std::string read_config_text(const std::string& path);

/// The settings as YAML that loads back to the same values (doubles keep 17 digits where needed).
template <class Settings>
std::string to_yaml(const Settings& settings) {
  Settings copy = settings;
  return detail::to_yaml(detail::Visitable(copy));
}

/// The same with a comment behind each key: what it means, and its range or choices. For people (--print-config).
template <class Settings>
std::string describe_settings(const Settings& settings) {
  Settings copy = settings;
  return detail::describe(detail::Visitable(copy));
}

}  // namespace finpercep
