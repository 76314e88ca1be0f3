// SPDX-License-Identifier: Apache-2.0
// FGR samples on disk: tar shards in WebDataset layout (KEY.gt.webp KEY.sr.webp KEY.mask.png KEY.map.png KEY.json) and a manifest.json.
#pragma once
#include <filesystem>
#include <span>

#include "finpercep/fgr/sample.h"

namespace finpercep {

/// manifest.json: what a set was made of. Hashes are "xxh3:<16 hex>" of a file's bytes.
struct ShardManifest {
  double label_scale = 0;
  int64_t count = 0, crops_per_shard = 0;
  FgrSettings settings;                                     ///< as the build resolved them: what rebuilds any sample
  std::vector<std::pair<std::string, std::string>> models;  ///< source, hash of its file
  std::vector<std::string> skipped;                         ///< photographs that could not be used, and why
  std::vector<std::pair<std::string, std::string>> shards;  ///< file name, hash
};

/// Writes the missing shards of `directory` (whole tars, atomically: a killed build goes on where it stopped), those that differ from a
/// finished build's manifest again, and then the manifest.
/// Samples are made in parallel; the bytes depend on the settings alone. Shard s is built when s % parts == part; the manifest is written
/// by whichever build finds all shards there. input_error for a folder that holds shards of other settings.
void build_shards(const FgrSettings& settings, const std::filesystem::path& directory, int64_t part = 0, int64_t parts = 1,
                  int64_t samples_per_shard = 256);

/// input_error for a folder without one (its build has not ended) or one that is damaged.
ShardManifest read_manifest(const std::filesystem::path& directory);

struct Verified {
  int64_t shards = 0, samples = 0;  ///< whose hashes agree; rebuilt from the manifest and equal byte for byte
};
/// Checks every shard against its hash and rebuilds `samples` of them, evenly spread. input_error for the first that differs.
Verified verify_shards(const std::filesystem::path& directory, int64_t samples);

/// The five files of a sample; KEY is its index.
struct EncodedSample {
  std::vector<std::byte> gt, sr, mask, map;
  std::string json;
};
/// Samples of one crop share pictures, which are encoded once.
std::vector<EncodedSample> encode_samples(const std::vector<FgrSample>& samples);
/// Checks the hash that the JSON carries, the sizes and the JSON itself; input_error naming `where`.
FgrSample decode_sample(std::span<const std::byte> gt, std::span<const std::byte> sr, std::span<const std::byte> mask,
                        std::span<const std::byte> map, const std::string& json, const std::string& where);

}  // namespace finpercep
