// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/shards.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/fgr/tar.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

constexpr uint64_t max_shard_bytes = uint64_t{1} << 32;

std::string hash_of(std::span<const std::byte> bytes) { return fmt::format("xxh3:{:016x}", XXH3_64bits(bytes.data(), bytes.size())); }

std::string shard_name(int64_t shard) { return fmt::format("fgr-{:06}.tar", shard); }

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

std::vector<TarEntry> encode_sample(int64_t index, const FgrSample& sample) {
  double severity = 0, area = 0;
  for (float v : sample.label.data) severity += v;
  for (float v : sample.mask.data) area += v;
  const auto pixels = static_cast<double>(sample.mask.data.size());
  const nlohmann::ordered_json facts = {{"index", index}, {"source", sample.source}, {"mask", sample.mask_kind}, {"area", area / pixels}, {"severity", severity / pixels}};
  const std::string key = fmt::format("{:08}", index);
  return {{key + ".gt.webp", encode_webp_lossless(sample.gt)}, {key + ".sr.webp", encode_webp_lossless(sample.sr)}, {key + ".mask.png", encode_png(sample.mask)},
          {key + ".map.png", encode_png(sample.label)}, {key + ".json", to_bytes(facts.dump())}};
}

Image first_channel(const Image& image) {
  Image out(image.width, image.height, 1);
  std::copy_n(image.plane(0), image.plane_size(), out.plane(0));
  return out;
}

void write_manifest(const FgrBuilder& builder, const std::filesystem::path& directory, int64_t shards) {
  nlohmann::ordered_json manifest = {{"format", "finpercep-fgr-1"}, {"count", builder.settings().count}, {"label_scale", builder.label_scale()},
                                     {"alpha", builder.settings().label.alpha}, {"config", to_yaml(builder.settings())}, {"shards", nlohmann::ordered_json::array()}};
  for (int64_t s = 0; s < shards; ++s) {
    const auto path = directory / shard_name(s);
    if (!std::filesystem::exists(path)) return;  // another part is still at work and will write it
    manifest["shards"].push_back({{"file", shard_name(s)}, {"hash", hash_of(read_file(path, max_shard_bytes))}});
  }
  write_file(directory / "manifest.json", manifest.dump(1) + "\n");
}

}  // namespace

void build_shards(const FgrBuilder& builder, const std::filesystem::path& directory, int64_t part, int64_t parts, int64_t samples_per_shard) {
  make_directory(directory);
  // A shard that is there belongs to this build only if the settings are the same.
  const std::string settings = to_yaml(builder.settings());
  const auto stamp = directory / "config.yaml";
  if (std::filesystem::exists(stamp)) {
    if (read_text_file(stamp) != settings)
      throw input_error(fmt::format("fgr: {}: expected a new folder or one of the same settings, found shards of other settings. choose another -o", directory.string()));
  } else {
    write_file(stamp, settings);
  }
  const int64_t count = builder.settings().count, shards = (count + samples_per_shard - 1) / samples_per_shard;
  Progress progress("fgr build", count / parts);
  for (int64_t s = part; s < shards; s += parts) {
    const int64_t first = s * samples_per_shard, n = std::min(samples_per_shard, count - first);
    if (std::filesystem::exists(directory / shard_name(s))) {
      progress.advance(n);
      continue;
    }
    std::vector<std::vector<TarEntry>> encoded(n);
    std::mutex mutex;
    parallel_for(n, 0, [&](int64_t i) {
      if (interrupted()) throw interrupted_error("interrupted: finished shards are kept. run the same command to go on");
      at::set_num_threads(1);
      encoded[i] = encode_sample(first + i, builder.sample(first + i));
      const std::lock_guard lock(mutex);
      progress.advance();
    });
    std::vector<TarEntry> entries;
    for (auto& sample : encoded) std::move(sample.begin(), sample.end(), std::back_inserter(entries));
    write_file(directory / shard_name(s), encode_tar(entries));
  }
  write_manifest(builder, directory, shards);
}

ShardManifest read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / "manifest.json";
  try {
    const auto json = nlohmann::json::parse(read_text_file(path));
    if (json.at("format") != "finpercep-fgr-1") throw input_error(fmt::format("fgr: {}: expected format finpercep-fgr-1, found {}", path.string(), json.at("format").dump()));
    ShardManifest manifest{json.at("label_scale"), json.at("alpha"), json.at("count"), {}};
    for (const auto& shard : json.at("shards")) {
      const std::string file = shard.at("file");
      if (file.find('/') != std::string::npos || file.starts_with(".")) throw input_error(fmt::format("fgr: {}: shard name '{}' leads out of the folder", path.string(), file));
      manifest.shards.emplace_back(file, shard.at("hash"));
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    throw input_error(fmt::format("fgr: {}: not a manifest ({}). run `finpercep fgr build` to its end", path.string(), error.what()));
  }
}

void read_shards(const std::filesystem::path& directory, const std::function<void(FgrSample&&)>& take) {
  for (const auto& [file, hash] : read_manifest(directory).shards) {
    const std::string where = (directory / file).string();
    const auto bytes = read_file(directory / file, max_shard_bytes);
    if (hash_of(bytes) != hash) throw input_error(fmt::format("fgr: {}: the hash differs from the manifest's. the shard is damaged: delete it and build again", where));
    const auto entries = parse_tar(bytes, where);
    if (entries.size() % 5 != 0) throw input_error(fmt::format("fgr: {}: expected five files a sample, found {} files", where, entries.size()));
    for (std::size_t i = 0; i < entries.size(); i += 5) {
      const auto picture = [&](std::size_t k) { return decode_image(entries[i + k].bytes, where + ":" + entries[i + k].name); };
      const auto facts = nlohmann::json::parse(entries[i + 4].bytes, nullptr, false);
      if (facts.is_discarded()) throw input_error(fmt::format("fgr: {}:{}: not JSON", where, entries[i + 4].name));
      take({picture(0), picture(1), first_channel(picture(2)), first_channel(picture(3)), facts.value("source", ""), facts.value("mask", "")});
    }
  }
}

}  // namespace finpercep
