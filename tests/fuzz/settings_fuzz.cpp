// SPDX-License-Identifier: Apache-2.0
// Any text must either load or give a usage_error; what loads must write and load again to the same text. The part after the
// first zero byte is taken as an override. Built and run by run.sh.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "finpercep/base/error.h"
#include "finpercep/base/settings.h"

using namespace finpercep;

namespace {

struct Inner {
  double sigma = 1;
  std::vector<double> widths = {1, 2};
  std::string kind = "a";
  void visit(SettingsVisitor& v) {
    v.field("sigma", sigma, "", {.min = 0, .max = 1e300});
    v.field("widths", widths, "");
    v.choice("kind", kind, "", {"a", "b"});
  }
};

struct Outer {
  int64_t seed = 0;
  bool on = true;
  std::string name;
  std::vector<int64_t> steps;
  std::vector<std::string> files;
  Inner inner;
  void visit(SettingsVisitor& v) {
    v.field("seed", seed, "");
    v.field("on", on, "");
    v.field("name", name, "");
    v.field("steps", steps, "", {.min = -5, .max = 5});
    v.field("files", files, "");
    v.group("inner", inner, "");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> overrides;
  if (const std::size_t zero = text.find('\0'); zero != std::string::npos) {
    overrides.push_back(text.substr(zero + 1));
    text.resize(zero);
  }
  Outer settings;
  try {
    load_settings(settings, text, "fuzz", overrides);
  } catch (const Error& error) {
    if (error.code() != ExitCode::usage) std::abort();
    return 0;
  }
  const std::string written = to_yaml(settings);
  Outer again;
  load_settings(again, written, "again");
  if (to_yaml(again) != written) std::abort();
  return 0;
}
