// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace finpercep {

struct Pair {
  std::string name;  ///< the common stem
  std::filesystem::path first, second;
};

/// Matches two lists by file stem, in the order of the first. Where stems differ by an ending that all files of a list have (NAME_out or
/// NAMEx4 against NAME, NAME_LR4 against NAME_HR), by what is before it. A single file against a single file is a pair whatever their
/// names.
/// input_error listing every file without a partner (the first few by name), and for two files of one list with the same stem.
/// The roles name the lists in messages, e.g. "picture" and "reference".
std::vector<Pair> match_pairs(const std::vector<std::filesystem::path>& first, const std::vector<std::filesystem::path>& second,
                              const std::string& first_role = "picture", const std::string& second_role = "reference");

std::vector<std::string> names_of(const std::vector<Pair>& pairs);

}  // namespace finpercep
