// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <vector>

#include "finpercep/base/files.h"
#include "finpercep/base/parallel.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

// Of files and their names in the folder.
std::string hash_of_files(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& files) {
  std::string seen;
  for (const auto& file : files) seen += fmt::format("{} {}\n", file.lexically_relative(folder).string(), hash_of(read_file(file)));
  return hash_of(seen);
}

// Segments may lie in a folder for each photograph.
std::vector<std::filesystem::path> all_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string hash_of_photos(const PhotoSet& photos) {
  std::vector<std::string> hashes(photos.size());
  parallel_for(photos.size(), 0, [&](int64_t i) {
    const Image photo = photos.photo(i);
    hashes[i] = hash_of(std::as_bytes(std::span(photo.data)));
  });
  std::string seen;
  for (int64_t i = 0; i < photos.size(); ++i) seen += fmt::format("{} {}\n", photos.name(i), hashes[i]);
  return hash_of(seen);
}

}  // namespace

std::string source_key(const std::string& source) { return "source " + source; }

std::string hash_of_source(const std::string& source) {
  return std::filesystem::is_directory(source) ? hash_of_files(source, list_images({source})) : weights_hash(source);
}

Inputs inputs_of(const FgrBuilder& builder) {
  Inputs inputs;
  const FgrSettings& settings = builder.settings();
  for (const std::string& source : settings.sources)
    if (const std::string hash = hash_of_source(source); !hash.empty()) inputs[source_key(source)] = hash;
  for (const std::string& folder : settings.masks.segments) inputs["segments " + folder] = hash_of_files(folder, all_files(folder));
  inputs["label.features"] = hash_of(read_file(label_weight_file(settings.label.features)));
  if (settings.masks.semantic_prob > 0) inputs["masks by DINOv2"] = hash_of(read_file(dino_weight_file(DinoVersion::v2)));
  inputs["photographs"] = hash_of_photos(builder.photos());
  return inputs;
}

}  // namespace finpercep
