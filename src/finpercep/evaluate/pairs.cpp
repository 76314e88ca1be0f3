// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/pairs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"

namespace finpercep {

namespace {

using Paths = std::vector<std::filesystem::path>;
constexpr std::size_t names_shown = 5;

std::map<std::string, std::filesystem::path> by_stem(const Paths& paths, const std::string& role) {
  std::map<std::string, std::filesystem::path> found;
  for (const auto& path : paths) {
    const auto [at, fresh] = found.emplace(path.stem().string(), path);
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

std::vector<std::string> stems_of(const Paths& paths) {
  std::vector<std::string> stems;
  for (const auto& path : paths) stems.push_back(path.stem().string());
  return stems;
}

// Lengths of the endings that all stems have in common and that begin as endings do: "_out", "-HAT", "x4".
std::vector<std::size_t> common_endings(const std::vector<std::string>& stems) {
  std::vector<std::size_t> lengths = {0};
  const std::string& model = stems.front();
  for (std::size_t n = 1; n < model.size(); ++n) {
    const std::string_view ending = std::string_view(model).substr(model.size() - n);
    if (!std::ranges::all_of(stems, [&](const std::string& stem) { return stem.size() > n && stem.ends_with(ending); })) break;
    if (std::string_view("_-.xX").find(ending.front()) != std::string_view::npos) lengths.push_back(n);
  }
  return lengths;
}

std::vector<std::string> without_ending(std::vector<std::string> stems, std::size_t length) {
  for (std::string& stem : stems) stem.resize(stem.size() - length);
  return stems;
}

// The stems of both lists without the endings that part them, if there are such: the shortest.
std::optional<std::pair<std::vector<std::string>, std::vector<std::string>>> same_names(const Paths& first, const Paths& second) {
  if (first.size() != second.size() || first.size() < 2) return std::nullopt;
  const std::vector<std::string> firsts = stems_of(first), seconds = stems_of(second);
  std::vector<std::pair<std::size_t, std::size_t>> tried;
  for (const std::size_t a : common_endings(firsts))
    for (const std::size_t b : common_endings(seconds)) tried.emplace_back(a, b);
  std::ranges::sort(tried, {}, [](const auto& lengths) { return lengths.first + lengths.second; });
  for (const auto& [a, b] : tried) {
    auto left = without_ending(firsts, a), right = without_ending(seconds, b);
    const std::multiset<std::string> names(left.begin(), left.end()), others(right.begin(), right.end());
    if (names == others) return std::pair(std::move(left), std::move(right));
  }
  return std::nullopt;
}

}  // namespace

std::vector<Pair> match_pairs(const Paths& first, const Paths& second, const std::string& first_role, const std::string& second_role) {
  if (first.size() == 1 && second.size() == 1) return {{first[0].stem().string(), first[0], second[0]}};
  const auto firsts = by_stem(first, first_role);
  const auto seconds = by_stem(second, second_role);
  std::vector<Pair> pairs;
  Paths lonely_first, lonely_second;
  for (const auto& path : first) {
    const auto partner = seconds.find(path.stem().string());
    if (partner == seconds.end()) lonely_first.push_back(path);
    else pairs.push_back({partner->first, path, partner->second});
  }
  for (const auto& path : second)
    if (!firsts.contains(path.stem().string())) lonely_second.push_back(path);
  if (lonely_first.empty() && lonely_second.empty()) return pairs;
  if (const auto names = same_names(first, second)) {
    pairs.clear();
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto at = std::ranges::find(names->second, names->first[i]) - names->second.begin();
      pairs.push_back({names->first[i], first[i], second[at]});
    }
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
