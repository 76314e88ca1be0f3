// SPDX-License-Identifier: Apache-2.0
// The pictures that a study measures on.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/image.h"
#include "finpercep/study/settings.h"

namespace finpercep {

struct StudySet {
  std::string name, title;
  std::string facts;                 ///< one line of all that its pictures depend on, with their hash
  std::vector<std::string> names{};  ///< of the pictures
  std::function<Image(int64_t)> lq{}, gt{};
  /// Pictures that another program made: a row of their own.
  struct Made {
    std::string name, facts;
    std::vector<std::filesystem::path> files;
  };
  std::vector<Made> made{};
  std::vector<std::string> metrics{};  ///< that are taken on it

  int64_t size() const { return static_cast<int64_t>(names.size()); }
};

/// The held-out photographs, named held-out, then the test sets. usage_error for none, or two of one name.
std::vector<StudySet> study_sets(const StudySettings& study);

/// A generator or a judge with its weights' hash, "mine.safetensors xxh3:..": another file of the same name is another model. The name
/// alone where there are no weights (bicubic).
std::string model_facts(const std::string& name_or_file);

}  // namespace finpercep
