// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/random.h"
#include "finpercep/fgr/shards.h"
#include "finpercep/fgr/tar.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

struct Packed {
  int size;
  std::vector<uint8_t> gt, sr, mask, label;
};

std::vector<uint8_t> pack(const Image& image) {
  std::vector<uint8_t> out(image.data.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint8_t>(std::lround(image.data[i] * 255));
  return out;
}

Image unpack(const std::vector<uint8_t>& bytes, int size, int channels) {
  Image out(size, size, channels);
  for (std::size_t i = 0; i < bytes.size(); ++i) out.data[i] = static_cast<float>(bytes[i]) / 255.0f;
  return out;
}

// Where the five files of a sample lie.
struct Place {
  std::size_t shard;
  std::array<TarPlace, 5> files;
};

constexpr std::array<const char*, 5> endings = {".gt.webp", ".sr.webp", ".mask.png", ".map.png", ".json"};

std::string text_of(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// The samples of one shard, in order; the JSON of each is read, the pictures are not.
void index_shard(const TarReader& tar, std::size_t shard, std::vector<Place>& places, std::vector<FgrFacts>& facts) {
  const std::vector<TarPlace> files = tar.list();
  if (files.size() % endings.size() != 0)
    throw input_error(fmt::format("fgr: {}: expected five files a sample, found {} files", tar.where(), files.size()));
  for (std::size_t i = 0; i < files.size(); i += endings.size()) {
    Place place{shard, {}};
    const std::string key = files[i].name.substr(0, files[i].name.find('.'));
    for (std::size_t k = 0; k < endings.size(); ++k) {
      if (files[i + k].name != key + endings[k])
        throw input_error(
            fmt::format("fgr: {}: expected '{}{}', found '{}'. build the shard again", tar.where(), key, endings[k], files[i + k].name));
      place.files[k] = files[i + k];
    }
    std::string hash;
    facts.push_back(facts_from_json(text_of(tar.read(place.files[4])), tar.where() + ":" + key, hash));
    places.push_back(std::move(place));
  }
}

}  // namespace

FgrSet::FgrSet(const FgrBuilder& builder) {
  const FgrSettings& settings = builder.settings();
  const auto packed = std::make_shared<std::vector<Packed>>(settings.count);
  facts_.resize(settings.count);
  Progress progress("fgr samples", settings.count);
  parallel_for(builder.crops(), builder.threads(), [&](int64_t crop) {
    stop_if_interrupted("while making samples; nothing was saved");
    const OneThread one_thread;
    for (FgrSample& sample : builder.samples_of(crop)) {
      const int64_t index = sample.facts.index;
      (*packed)[index] = {sample.gt.width, pack(sample.gt), pack(sample.sr), pack(sample.mask), pack(sample.label)};
      facts_[index] = std::move(sample.facts);
      progress.advance();
    }
  });
  read_ = [packed, facts = facts_](int64_t i) -> FgrSample {
    const Packed& p = (*packed)[i];
    return {unpack(p.gt, p.size, 3), unpack(p.sr, p.size, 3), unpack(p.mask, p.size, 1), unpack(p.label, p.size, 1), facts[i]};
  };
  label_ = builder.settings().label;
  side_ = static_cast<int>(settings.size);
  kept_.resize(facts_.size());
  std::iota(kept_.begin(), kept_.end(), int64_t{0});
}

FgrSet::FgrSet(const std::filesystem::path& directory) {
  const ShardManifest manifest = read_manifest(directory);
  const auto tars = std::make_shared<std::vector<TarReader>>();
  const auto places = std::make_shared<std::vector<Place>>();
  for (const auto& [file, hash] : manifest.shards) {
    tars->emplace_back(directory / file);
    index_shard(tars->back(), tars->size() - 1, *places, facts_);
  }
  if (static_cast<int64_t>(facts_.size()) != manifest.count)
    throw input_error(fmt::format("fgr: {}: expected {} samples as the manifest says, found {}. build the set again", directory.string(),
                                  manifest.count, facts_.size()));
  read_ = [tars, places](int64_t i) {
    const Place& place = (*places)[i];
    const TarReader& tar = (*tars)[place.shard];
    const auto file = [&](int k) { return tar.read(place.files[k]); };
    return decode_sample(file(0), file(1), file(2), file(3), text_of(file(4)), tar.where() + ":" + place.files[4].name);
  };
  label_ = manifest.settings.label;
  side_ = static_cast<int>(manifest.settings.size);
  kept_.resize(facts_.size());
  std::iota(kept_.begin(), kept_.end(), int64_t{0});
}

void FgrSet::expect_same_labels(const FgrSet& other, const std::string& where) const {
  const auto meaning = [](const LabelSettings& l) {
    const std::string level = l.normalize == "image" ? fmt::format("quantile {}", l.quantile) : fmt::format("scale {:.6g}", l.scale);
    return fmt::format("alpha {}, normalize {}, {}, features {}", l.alpha, l.normalize, level, l.features);
  };
  if (meaning(label_) != meaning(other.label_))
    throw input_error(fmt::format("fgr: {}: expected the label settings of the set before ({}), found {}. build it with those", where,
                                  meaning(label_), meaning(other.label_)));
}

void FgrSet::add(const FgrSet& other, const std::string& where) {
  expect_same_labels(other, where);
  side_ = std::min(side_, other.side_);
  const auto count = static_cast<int64_t>(facts_.size());
  read_ = [first = read_, count, second = other.read_](int64_t i) { return i < count ? first(i) : second(i - count); };
  facts_.insert(facts_.end(), other.facts_.begin(), other.facts_.end());
  for (const int64_t i : other.kept_) kept_.push_back(count + i);
}

std::vector<int64_t> FgrSet::some(int64_t count) const {
  if (count == 0) count = size();
  std::vector<int64_t> chosen = Random(0, "some samples").permutation(size());
  chosen.resize(std::min(count, size()));
  std::ranges::sort(chosen);
  return chosen;
}

std::set<std::string> FgrSet::photos() const {
  std::set<std::string> stems;
  for (const int64_t i : kept_) stems.insert(facts_[i].photo);
  return stems;
}

void FgrSet::keep(const std::function<bool(const FgrFacts&)>& wanted) {
  std::erase_if(kept_, [&](int64_t i) { return !wanted(facts_[i]); });
  if (kept_.empty()) throw input_error("fgr: expected samples of the wanted kind, found none");
}

}  // namespace finpercep
