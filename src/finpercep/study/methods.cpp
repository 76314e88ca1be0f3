// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/methods.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/evaluate/test_set.h"

namespace finpercep {

namespace {

// Parted at spaces that are not in brackets.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : text + " ") {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c != ' ' || depth > 0) word += c;
    else if (!word.empty()) words.push_back(std::exchange(word, ""));
  }
  if (!word.empty()) words.push_back(word);  // a bracket that is not closed: the settings say so
  return words;
}

struct SeedWord {
  std::vector<int64_t> seeds;
  void visit(SettingsVisitor& v) { v.field("seeds", seeds, "", {.min = 0, .max = 9e15}); }
};

}  // namespace

Method parse_method(const std::string& text, const StudySettings& study, const std::filesystem::path& folder,
                    const std::vector<std::string>& overrides) {
  const std::size_t end = std::min(text.find_first_of(": "), text.size());
  Method method{.name = text.substr(0, end), .words = "", .rl = study.rl, .seeds = study.seeds};
  check_name(method.name, fmt::format("study: method '{}'", text));
  if (end < text.size() && text[end] == ' ')
    throw usage_error(fmt::format("study: method '{}': expected NAME: key=value .., found no ':'", text));
  const std::vector<std::string> words = words_of(text.substr(std::min(end + 1, text.size())));
  method.words = fmt::format("{}", fmt::join(words, " "));
  try {
    std::vector<std::string> keys;
    for (const std::string& word : words) {
      if (word.find('=') == std::string::npos) throw usage_error(fmt::format("expected key=value, found '{}'", word));
      if (word.starts_with("config=")) {
        const std::string file = (folder / word.substr(7)).lexically_normal().string();
        std::vector<std::string> again;
        for (const std::string& override_text : overrides)
          if (override_text.starts_with("rl.")) again.push_back(override_text.substr(3));
        method.rl = {};
        load_settings(method.rl, read_config_text(file), file, again);
      } else if (word.starts_with("manual_seed=")) {
        throw usage_error(fmt::format("expected seeds=[..], which are the runs' manual_seed, found '{}'", word));
      } else if (word.starts_with("seeds=")) {
        SeedWord seeds;
        load_settings(seeds, "", "", {word[6] == '[' ? word : fmt::format("seeds=[{}]", word.substr(6))});
        method.seeds = seeds.seeds;
      } else {
        keys.push_back(word);
      }
    }
    load_settings(method.rl, "", "", keys);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("study: method '{}': {}", method.name, error.what()));
  }
  if (method.seeds.empty() || std::set(method.seeds.begin(), method.seeds.end()).size() != method.seeds.size())
    throw usage_error(
        fmt::format("study: method '{}': expected seeds that differ, found [{}]", method.name, fmt::join(method.seeds, ", ")));
  return method;
}

std::string usual(std::string RlSettings::*key, const StudySettings& study, const std::vector<Method>& methods) {
  const auto has_it = [&](const Method& method) { return method.rl.*key == study.rl.*key; };
  return methods.empty() || std::ranges::any_of(methods, has_it) ? study.rl.*key : methods.front().rl.*key;
}

std::string baseline_of(const StudySettings& study, const std::vector<Method>& methods) {
  return study.baseline.empty() ? usual(&RlSettings::network_g, study, methods) : study.baseline;
}

std::vector<std::string> measured_only(const StudySettings& study, const std::vector<Method>& methods) {
  std::vector<std::string> names = study.others;
  const std::string start = usual(&RlSettings::network_g, study, methods);
  if (std::ranges::find(names, start) == names.end()) names.push_back(start);
  return names;
}

std::vector<Method> parse_methods(const StudySettings& study, const std::filesystem::path& folder,
                                  const std::vector<std::string>& overrides) {
  std::vector<Method> methods;
  for (const std::string& text : study.methods) methods.push_back(parse_method(text, study, folder, overrides));
  std::vector<std::string> rows = measured_only(study, methods);
  for (const Method& method : methods) rows.push_back(method.name);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (std::find(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(i), rows[i]) != rows.begin() + static_cast<std::ptrdiff_t>(i))
      throw usage_error(fmt::format("study: expected every method and other generator once, found '{}' twice. rename one", rows[i]));
  if (std::ranges::find(rows, baseline_of(study, methods)) == rows.end())
    throw usage_error(fmt::format("study: baseline: expected one of {}, found '{}'", fmt::join(rows, ", "), study.baseline));
  return methods;
}

}  // namespace finpercep
