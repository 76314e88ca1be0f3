// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/text.h"
#include "finpercep/fgr/inputs.h"
#include "finpercep/fgr/tar.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

constexpr uint64_t max_shard_bytes = uint64_t{1} << 32;
constexpr const char* format_name = "finpercep-fgr-2";

// Of a sample of this side: two pictures, a mask and a map, as if nothing were compressed, and some to spare.
uint64_t most_bytes(int64_t side) { return static_cast<uint64_t>(side * side) * 9 + 16384; }

std::string shard_name(int64_t shard) { return fmt::format("fgr-{:06}.tar", shard); }

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

void append(std::vector<TarEntry>& entries, int64_t index, EncodedSample&& sample) {
  const std::string key = fmt::format("{:08}", index);
  entries.push_back({key + ".gt.webp", std::move(sample.gt)});
  entries.push_back({key + ".sr.webp", std::move(sample.sr)});
  entries.push_back({key + ".mask.png", std::move(sample.mask)});
  entries.push_back({key + ".map.png", std::move(sample.map)});
  entries.push_back({key + ".json", to_bytes(sample.json)});
}

// The settings with the device and type that "auto" came to: labels and pictures of another are others.
FgrSettings as_built(FgrSettings settings) {
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  settings.device = compute.device.is_cuda() ? "cuda" : "cpu";
  settings.dtype = dtype_name(compute);
  return settings;
}

// `inputs`: as they were when the build began. `known`: hashes of this part's shards and of those that were there. They stay what they
// were, or a shard that was damaged since would be certified here.
void write_manifest(const FgrBuilder& builder, const Inputs& inputs, const std::filesystem::path& directory, int64_t shards,
                    int64_t crops_per_shard, const std::map<std::string, std::string>& known) {
  using nlohmann::ordered_json;
  ordered_json manifest = {{"format", format_name},
                           {"count", builder.settings().count},
                           {"crops_per_shard", crops_per_shard},
                           {"label_scale", builder.label_scale()},
                           {"config", to_yaml(as_built(builder.settings()))},
                           {"models", ordered_json::array()},
                           {"skipped", builder.photos().skipped()},
                           {"shards", ordered_json::array()}};
  for (const std::string& source : builder.settings().sources)
    if (const auto found = inputs.find(source_key(source)); found != inputs.end())
      manifest["models"].push_back({{"source", source}, {"hash", found->second}});
  for (int64_t s = 0; s < shards; ++s) {
    const auto path = directory / shard_name(s);
    if (!std::filesystem::exists(path)) return;  // another part is still at work and will write it
    const auto hash = known.find(shard_name(s));
    manifest["shards"].push_back(
        {{"file", shard_name(s)}, {"hash", hash != known.end() ? hash->second : hash_of(read_file(path, max_shard_bytes))}});
  }
  write_file(directory / "manifest.json", manifest.dump(1, ' ', true, ordered_json::error_handler_t::replace) + "\n");
}

// Of a finished build; none for another. Shards are written whole, so what differs was damaged since.
std::map<std::string, std::string> known_hashes(const std::filesystem::path& directory) {
  std::map<std::string, std::string> hashes;
  std::error_code none;
  if (!std::filesystem::exists(directory / "manifest.json", none)) return hashes;
  try {
    for (auto& [file, hash] : read_manifest(directory).shards) hashes.emplace(file, hash);
  } catch (const Error&) {  // it is written again at the end
  }
  return hashes;
}

// A damaged one is made again.
bool is_built(const std::filesystem::path& shard, const std::map<std::string, std::string>& hashes) {
  if (!std::filesystem::exists(shard)) return false;
  const auto known = hashes.find(shard.filename().string());
  if (known == hashes.end() || hash_of(read_file(shard, max_shard_bytes)) == known->second) return true;
  log_warning(fmt::format("fgr: {}: the hash differs from the manifest's: the shard is damaged and is made again", shard.string()));
  return false;
}

// The label scale of a build that has begun in this folder, or 0. A shard that is there belongs to this build only if the settings are the
// same.
double begun_scale(const FgrSettings& settings, const std::filesystem::path& directory) {
  const auto stamp = directory / "config.yaml";
  if (!std::filesystem::exists(stamp)) return 0;
  FgrSettings begun;
  load_settings(begun, read_text_file(stamp), stamp.string());
  const double scale = begun.label.scale;
  if (settings.label.scale == 0) begun.label.scale = 0;
  begun.photos.strict = settings.photos.strict;  // no sample depends on it
  if (const auto lines = first_difference(to_yaml(as_built(settings)), to_yaml(begun)))
    throw input_error(
        fmt::format("fgr: {}: expected '{}', found '{}' in a build of other settings that has begun here. choose another -o, or remove "
                    "the folder",
                    directory.string(), lines->first, lines->second));
  return scale;
}

}  // namespace

void build_shards(const FgrSettings& settings, const std::filesystem::path& directory, int64_t part, int64_t parts,
                  int64_t samples_per_shard) {
  make_directory(directory);
  const FgrBuilder builder(settings, begun_scale(settings, directory));
  const Inputs inputs = inputs_of(builder);
  expect_inputs(directory, inputs);
  write_inputs(directory, inputs);
  write_file(directory / "config.yaml", to_yaml(as_built(builder.settings())));
  // Whole crops to a shard, so that no crop is made twice, and no more than can be read again.
  const int64_t per_crop = builder.per_crop(), readable = max_shard_bytes / most_bytes(settings.size);
  const int64_t crops_per_shard = std::max<int64_t>(1, std::min(samples_per_shard, readable) / per_crop);
  const int64_t shards = (builder.crops() + crops_per_shard - 1) / crops_per_shard;
  std::map<std::string, std::string> hashes = known_hashes(directory);
  const auto samples_in = [&](int64_t s) { return std::min(crops_per_shard * per_crop, settings.count - s * crops_per_shard * per_crop); };
  int64_t samples = 0;
  for (int64_t s = part; s < shards; s += parts) samples += samples_in(s);
  Progress progress("fgr build", samples);
  std::vector<int64_t> to_build, crops;  // shards, and their crops one after the other
  for (int64_t s = part; s < shards; s += parts) {
    if (is_built(directory / shard_name(s), hashes)) {
      progress.advance(samples_in(s));
      continue;
    }
    to_build.push_back(s);
    for (int64_t crop = s * crops_per_shard; crop < std::min((s + 1) * crops_per_shard, builder.crops()); ++crop) crops.push_back(crop);
  }
  // Made ahead across shards, so that no thread waits for the slowest crop of one or for its file.
  const int threads = builder.threads() > 0 ? builder.threads() : default_threads();
  Prefetcher<std::vector<EncodedSample>> made(0, static_cast<int64_t>(crops.size()), threads, 4 * threads, [&](int64_t i) {
    stop_if_interrupted("finished shards are kept. run the same command to go on");
    const OneThread one_thread;
    auto encoded = encode_samples(builder.samples_of(crops[i]));
    progress.advance(static_cast<int64_t>(encoded.size()));
    return encoded;
  });
  for (const int64_t s : to_build) {
    std::vector<TarEntry> entries;
    int64_t index = s * crops_per_shard * per_crop;
    for (int64_t left = std::min(crops_per_shard, builder.crops() - s * crops_per_shard); left > 0; --left) {
      std::vector<EncodedSample> crop = *made.next();
      for (EncodedSample& sample : crop) append(entries, index++, std::move(sample));
    }
    const std::vector<std::byte> tar = encode_tar(entries);
    write_file(directory / shard_name(s), tar);
    hashes[shard_name(s)] = hash_of(tar);
  }
  write_manifest(builder, inputs, directory, shards, crops_per_shard, hashes);
}

ShardManifest read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / "manifest.json";
  if (std::error_code none; std::filesystem::is_directory(directory, none) && !std::filesystem::exists(path, none))
    throw input_error(fmt::format(
        "fgr: {}: expected a folder of FGR samples, found no manifest.json in it. `finpercep fgr build` makes one, with the last part "
        "of --shard",
        directory.string()));
  try {
    const auto json = nlohmann::json::parse(read_text_file(path));
    if (json.at("format") != format_name)
      throw input_error(
          fmt::format("fgr: {}: expected format {}, found {}. build the set again", path.string(), format_name, json.at("format").dump()));
    ShardManifest manifest{.label_scale = json.at("label_scale"),
                           .count = json.at("count"),
                           .crops_per_shard = json.at("crops_per_shard"),
                           .settings = {},
                           .models = {},
                           .skipped = json.at("skipped"),
                           .shards = {}};
    constexpr int64_t most = 1'000'000'000;
    if (manifest.count < 1 || manifest.count > most || manifest.crops_per_shard < 1 || manifest.crops_per_shard > most)
      throw input_error(fmt::format("fgr: {}: expected counts from 1 to {}, found {} and {}. build the set again", path.string(), most,
                                    manifest.count, manifest.crops_per_shard));
    load_settings(manifest.settings, json.at("config").get<std::string>(), path.string());
    for (const auto& model : json.at("models")) manifest.models.emplace_back(model.at("source"), model.at("hash"));
    for (const auto& shard : json.at("shards")) {
      const std::string file = shard.at("file");
      if (file.find('/') != std::string::npos || file.starts_with("."))
        throw input_error(fmt::format("fgr: {}: shard name '{}' leads out of the folder", path.string(), file));
      manifest.shards.emplace_back(file, shard.at("hash"));
    }
    const int64_t samples_per_shard = manifest.crops_per_shard * manifest.settings.samples_per_crop;
    const int64_t shards = (manifest.settings.count + samples_per_shard - 1) / samples_per_shard;
    if (manifest.count != manifest.settings.count || static_cast<int64_t>(manifest.shards.size()) != shards)
      throw input_error(fmt::format("fgr: {}: expected {} samples in {} shards, found {} in {}. build the set again", path.string(),
                                    manifest.settings.count, shards, manifest.count, manifest.shards.size()));
    return manifest;
  } catch (const Error& error) {  // the settings are the file's, not the user's
    if (error.code() != ExitCode::usage) throw;
    throw input_error(fmt::format("fgr: {}: {}. build the set again", path.string(), error.what()));
  } catch (const nlohmann::json::exception& error) {
    throw input_error(fmt::format("fgr: {}: not a manifest ({}). run `finpercep fgr build` to its end", path.string(), error.what()));
  }
}

Verified verify_shards(const std::filesystem::path& directory, int64_t samples) {
  const ShardManifest manifest = read_manifest(directory);
  Progress progress("shards", static_cast<int64_t>(manifest.shards.size()));
  parallel_for(static_cast<int64_t>(manifest.shards.size()), 0, [&](int64_t s) {
    stop_if_interrupted("while checking shards");
    const auto& [file, hash] = manifest.shards[s];
    if (hash_of(read_file(directory / file, max_shard_bytes)) != hash)
      throw input_error(fmt::format(
          "fgr: {}: the hash differs from the manifest's. the shard is damaged: run `finpercep fgr build` again, which makes it anew",
          (directory / file).string()));
    progress.advance();
  });
  Verified verified{static_cast<int64_t>(manifest.shards.size()), 0};
  if (samples == 0) return verified;
  for (const auto& [source, hash] : manifest.models)
    if (hash_of_source(source) != hash)
      throw input_error(
          fmt::format("fgr: {}: source '{}': expected the model of hash {} that the set was built with, found another or none. only its "
                      "shards' hashes can be checked (--samples 0)",
                      directory.string(), source, hash));
  if (manifest.settings.device == "cuda" && !at::hasCUDA())
    throw input_error(
        fmt::format("fgr: {}: samples were made on a GPU and can only be made again on one. only the shards' hashes can be "
                    "checked here (--samples 0)",
                    directory.string()));
  const auto builder_of = [&] {
    try {
      return std::make_unique<const FgrBuilder>(manifest.settings, manifest.label_scale);
    } catch (const Error& error) {
      throw Error(error.code(),
                  fmt::format("fgr: {}: the shards have their hashes, but samples cannot be made again here: {}. start it where the "
                              "set was built, or leave it at the hashes (--samples 0)",
                              directory.string(), error.what()));
    }
  };
  const auto whole = builder_of();
  const FgrBuilder& builder = *whole;
  const int64_t per_crop = builder.per_crop();
  const int64_t crops = std::min(builder.crops(), (samples + per_crop - 1) / per_crop);
  for (int64_t k = 0; k < crops; ++k) {
    stop_if_interrupted("while making samples again");
    const int64_t crop = k * builder.crops() / crops;
    const OneThread one_thread;  // as it was built
    const auto rebuilt = encode_samples(builder.samples_of(crop));
    const std::string file = manifest.shards.at(crop / manifest.crops_per_shard).first;
    const TarReader shard(directory / file);
    const auto places = shard.list();
    for (std::size_t i = 0; i < rebuilt.size(); ++i) {
      const int64_t index = crop * per_crop + static_cast<int64_t>(i);
      std::vector<TarEntry> expected;
      append(expected, index, EncodedSample(rebuilt[i]));
      for (const TarEntry& entry : expected) {
        const auto found = std::ranges::find(places, entry.name, &TarPlace::name);
        if (found == places.end() || shard.read(*found) != entry.bytes)
          throw input_error(fmt::format(
              "fgr: {}: {}: rebuilt from the manifest ({}, {}) it differs. photographs, models or the processor are not those of the build",
              (directory / file).string(), entry.name, manifest.settings.device, manifest.settings.dtype));
      }
      ++verified.samples;
    }
  }
  return verified;
}

}  // namespace finpercep
