// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/pairs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"

namespace finpercep {

namespace {

using Paths = std::vector<std::filesystem::path>;
constexpr std::size_t names_shown = 5;

std::string name_of(const std::filesystem::path& path, std::size_t ending) {
  std::string stem = path.stem().string();
  stem.resize(stem.size() - ending);
  return stem;
}

std::map<std::string, std::filesystem::path> by_name(const Paths& paths, std::size_t ending, const std::string& role) {
  std::map<std::string, std::filesystem::path> found;
  for (const auto& path : paths) {
    const auto [at, fresh] = found.emplace(name_of(path, ending), path);
    if (!fresh)
      throw input_error(fmt::format("pairs: {}: expected one {} of each name, found {} too. remove or rename one", at->second.string(),
                                    role, path.string()));
  }
  return found;
}

std::string missing_text(const Paths& lonely, const std::string& partner) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < lonely.size() && i < names_shown; ++i) shown.push_back(lonely[i].string());
  const std::string more = lonely.size() > names_shown ? fmt::format(" and {} more", lonely.size() - names_shown) : "";
  return fmt::format("{} without a {}: {}{}", lonely.size(), partner, fmt::join(shown, ", "), more);
}

// Lengths of the endings that all stems have in common and that begin as endings do ("_out", "-HAT", "x4"), 0 first.
std::vector<std::size_t> common_endings(const Paths& paths) {
  std::vector<std::size_t> lengths = {0};
  const std::string model = paths.front().stem().string();
  for (std::size_t n = 1; n < model.size(); ++n) {
    const std::string ending = model.substr(model.size() - n);
    const auto has_it = [&](const std::filesystem::path& path) {
      const std::string stem = path.stem().string();
      return stem.size() > n && stem.ends_with(ending);
    };
    if (!std::ranges::all_of(paths, has_it)) break;
    if (std::string_view("_-.xX").find(ending.front()) != std::string_view::npos) lengths.push_back(n);
  }
  return lengths;
}

// How much of the stems of either list is an ending: the least that leaves both with the same names; none where nothing does.
std::pair<std::size_t, std::size_t> endings_of(const Paths& first, const Paths& second) {
  if (first.size() != second.size() || first.size() < 2) return {0, 0};
  const auto names = [](const Paths& paths, std::size_t ending) {
    std::multiset<std::string> found;
    for (const auto& path : paths) found.insert(name_of(path, ending));
    return found;
  };
  std::vector<std::pair<std::size_t, std::size_t>> tried;
  for (const std::size_t a : common_endings(first))
    for (const std::size_t b : common_endings(second)) tried.emplace_back(a, b);
  std::ranges::sort(tried, {}, [](const auto& lengths) { return lengths.first + lengths.second; });
  for (const auto& [a, b] : tried)
    if (names(first, a) == names(second, b)) return {a, b};
  return {0, 0};
}

}  // namespace

std::vector<Pair> match_pairs(const Paths& first, const Paths& second, const std::string& first_role, const std::string& second_role) {
  if (first.size() == 1 && second.size() == 1) return {{first[0].stem().string(), first[0], second[0]}};
  const auto [first_ending, second_ending] = endings_of(first, second);
  const auto firsts = by_name(first, first_ending, first_role);
  const auto seconds = by_name(second, second_ending, second_role);
  std::vector<Pair> pairs;
  Paths lonely_first, lonely_second;
  for (const auto& path : first) {
    const auto partner = seconds.find(name_of(path, first_ending));
    if (partner == seconds.end()) lonely_first.push_back(path);
    else pairs.push_back({partner->first, path, partner->second});
  }
  for (const auto& path : second)
    if (!firsts.contains(name_of(path, second_ending))) lonely_second.push_back(path);
  if (lonely_first.empty() && lonely_second.empty()) {
    if (first_ending + second_ending > 0)
      log_info(fmt::format("pairs: by names without endings, the first: {} and {}", pairs[0].first.filename().string(),
                           pairs[0].second.filename().string()));
    return pairs;
  }

  std::vector<std::string> parts;
  if (!lonely_first.empty()) parts.push_back(missing_text(lonely_first, second_role));
  if (!lonely_second.empty()) parts.push_back(missing_text(lonely_second, first_role));
  throw input_error(
      fmt::format("pairs: expected one {} for each {} by file stem (or by stems less an ending that all have, say _out), found {}. add or "
                  "remove files so that the stems match",
                  second_role, first_role, fmt::join(parts, "; ")));
}

std::vector<std::string> names_of(const std::vector<Pair>& pairs) {
  std::vector<std::string> names;
  for (const Pair& pair : pairs) names.push_back(pair.name);
  return names;
}

}  // namespace finpercep
