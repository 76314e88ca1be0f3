// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/train_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/generate/super_resolver.h"

namespace finpercep {

void choose_samples(FgrSet& set, const RewardTrainSettings& settings) {
  if (!settings.fgr_varied) set.keep([](const FgrFacts& facts) { return facts.variation.empty(); });
  for (const std::string& source : settings.fgr_without) {
    const int64_t before = set.size();
    set.keep([&](const FgrFacts& facts) { return !facts.source.starts_with(source); });
    if (set.size() == before)
      throw usage_error(
          fmt::format("fgr_without: expected the start of a source's name, found '{}', of which the set has no sample", source));
  }
}

std::optional<FgrSet> read_sets(const std::vector<std::string>& folders) {
  if (folders.empty()) return std::nullopt;
  FgrSet set{std::filesystem::path(folders[0])};
  for (std::size_t i = 1; i < folders.size(); ++i) set.add(FgrSet{std::filesystem::path(folders[i])}, folders[i]);
  return set;
}

std::optional<FgrSet> read_chosen(const RewardTrainSettings& settings) {
  std::optional<FgrSet> set = read_sets(settings.fgr_dirs);
  if (set) choose_samples(*set, settings);
  return set;
}

void warn_of_shared_photos(const FgrSet& trained_on, const FgrSet& held_out) {
  std::vector<std::string> shared;
  std::ranges::set_intersection(trained_on.photos(), held_out.photos(), std::back_inserter(shared));
  if (!shared.empty())
    log_warning(
        fmt::format("val_fgr_dirs: {} photographs, say {}, are trained on too: val_* is not held out", shared.size(), shared.front()));
}

Inputs inputs_of(const RewardTrainSettings& settings) {
  Inputs inputs;
  if (!settings.pretrain_network_r.empty()) inputs["pretrain_network_r"] = weights_hash(settings.pretrain_network_r);
  for (const std::string& folder : settings.fgr_dirs)
    inputs["fgr_dirs " + folder] = hash_of(read_file(std::filesystem::path(folder) / "manifest.json"));
  return inputs;
}

}  // namespace finpercep
