// SPDX-License-Identifier: Apache-2.0
// A study's methods, from text to settings.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/study/settings.h"

namespace finpercep {

struct Method {
  std::string name, words;  ///< words: what is said after the name
  RlSettings rl;
  std::vector<int64_t> seeds;
};

/// "NAME" or "NAME: key=value key=value ..": a list has brackets, stages=[0, 1]. config=FILE, relative to `folder`, takes the place of
/// study.rl; of the study's `overrides`
/// (--set) those of rl are applied to it again, so that they hold for every method. usage_error in one line that names the method.
Method parse_method(const std::string& text, const StudySettings& study, const std::filesystem::path& folder,
                    const std::vector<std::string>& overrides);

/// All of them; usage_error where two rows of the tables would have one name, a method has no seed or the same twice, or no row has the
/// baseline's name.
std::vector<Method> parse_methods(const StudySettings& study, const std::filesystem::path& folder,
                                  const std::vector<std::string>& overrides = {});

/// What the methods start from or are paid by, `key` being RlSettings::network_g or reward: study.rl's, or the first method's where none
/// has that.
std::string usual(std::string RlSettings::*key, const StudySettings& study, const std::vector<Method>& methods);
/// The row that others are compared with: study.baseline, or the untrained generator.
std::string baseline_of(const StudySettings& study, const std::vector<Method>& methods);
/// Generators that are measured only, the untrained one among them.
std::vector<std::string> measured_only(const StudySettings& study, const std::vector<Method>& methods);

}  // namespace finpercep
