// SPDX-License-Identifier: Apache-2.0
// FGR samples on disk: tar shards in WebDataset layout (KEY.gt.webp KEY.sr.webp KEY.mask.png KEY.map.png KEY.json) and a manifest.json.
#pragma once
#include <filesystem>
#include <functional>

#include "finpercep/fgr/sample.h"

namespace finpercep {

/// Writes the missing shards of `directory` (whole tars, atomically: a killed build goes on where it stopped) and then the manifest with settings,
/// label scale and the hash of each tar. Samples are made in parallel; the bytes depend on the settings alone. Shard s is built when
/// s % parts == part; the manifest is written by whichever build finds all shards there.
void build_shards(const FgrBuilder& builder, const std::filesystem::path& directory, int64_t part = 0, int64_t parts = 1, int64_t samples_per_shard = 256);

struct ShardManifest {
  double label_scale = 0, alpha = 0;
  int64_t count = 0;
  std::vector<std::pair<std::string, std::string>> shards;  ///< file name, "xxh3:<16 hex>"
};
ShardManifest read_manifest(const std::filesystem::path& directory);

/// Calls `take` for every sample, in order; each tar is checked against its hash. input_error for what is missing or damaged.
void read_shards(const std::filesystem::path& directory, const std::function<void(FgrSample&&)>& take);

}  // namespace finpercep
