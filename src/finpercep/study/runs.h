// SPDX-License-Identifier: Apache-2.0
// The runs of a study: one for each method and seed, each in its own folder, finished, interrupted or still to come.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "finpercep/study/methods.h"

namespace finpercep {

struct StudyRun {
  std::string method;
  int64_t seed = 0;
  RlSettings settings;
  std::filesystem::path folder;  ///< OUT/runs/METHOD-seedK

  std::filesystem::path generator() const {
    return folder / "checkpoints" / (may_be_torchscript(settings.network_g) ? "generator.pt" : "generator.safetensors");
  }
  /// Its generator is there, which is written whole or not at all.
  bool finished() const { return std::filesystem::exists(generator()); }
};

std::vector<StudyRun> study_runs(const std::vector<Method>& methods, const std::filesystem::path& output);

/// Before hours are spent: usage_error where a run's settings do not fit its nets, where its folder holds a run of other settings, where it
/// trains on photographs that are held out; and for a name in `only` that is no method.
void check_runs(const std::vector<StudyRun>& runs, const PhotoSettings& held_out, const std::vector<std::string>& only = {});

/// Trains what is not finished, from where it was interrupted; `only` the methods named, all if none is. One line for each run that ended
/// by itself before its time (losses that are not finite, too many rollbacks): the others are trained all the same.
std::vector<std::string> train_runs(const std::vector<StudyRun>& runs, const std::vector<std::string>& only);

}  // namespace finpercep
