// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/pairs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "finpercep/base/error.h"

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

  std::vector<std::string> parts;
  if (!lonely_first.empty()) parts.push_back(missing_text(lonely_first, second_role));
  if (!lonely_second.empty()) parts.push_back(missing_text(lonely_second, first_role));
  throw input_error(fmt::format("pairs: expected one {} for each {} by file stem, found {}. add or remove files so that the stems match",
                                second_role, first_role, fmt::join(parts, "; ")));
}

std::vector<std::string> names_of(const std::vector<Pair>& pairs) {
  std::vector<std::string> names;
  for (const Pair& pair : pairs) names.push_back(pair.name);
  return names;
}

}  // namespace finpercep
