// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/shards.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/fgr/set.h"
#include "finpercep/image/io.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

FgrSettings small_set(const TestFolder& folder) {
  write_image(folder / "photos-a.png", test::photo(80, 72));
  write_image(folder / "photos-b.png", test::photo(64, 100));
  FgrSettings settings;
  settings.photos.photos = {(folder / "photos-a.png").string(), (folder / "photos-b.png").string()};
  settings.count = 6;
  settings.size = 64;
  settings.sources = {"bicubic", "distort"};
  settings.device = "cpu";
  settings.dtype = "fp32";
  return settings;
}

// File name -> bytes, of every file.
std::map<std::string, std::vector<std::byte>> contents(const std::filesystem::path& directory) {
  std::map<std::string, std::vector<std::byte>> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    found[entry.path().filename().string()] = read_file(entry.path());
  return found;
}

}  // namespace

TEST_CASE("shards: two parts, a rebuilt shard and one whole build are the same bytes; reading gives the builder's samples") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  const FgrSettings settings = small_set(folder);
  const FgrBuilder builder(settings);
  CHECK(builder.label_scale() > 0);
  CHECK(builder.crops() == 2);

  build_shards(settings, folder / "whole", 0, 1, 4);
  const auto whole = contents(folder / "whole");
  CHECK(whole.size() == 2 + 3);  // shards, config.yaml, inputs.json, manifest.json
  build_shards(settings, folder / "parts", 1, 2, 4);
  CHECK_FALSE(std::filesystem::exists(folder / "parts" / "manifest.json"));
  CHECK(test::input_message([&] { read_manifest(folder / "parts"); }) != "");
  build_shards(settings, folder / "parts", 0, 2, 4);
  CHECK((contents(folder / "parts") == whole));
  std::filesystem::remove(folder / "parts" / "fgr-000001.tar");
  build_shards(settings, folder / "parts", 0, 1, 4);
  CHECK((contents(folder / "parts") == whole));

  const ShardManifest manifest = read_manifest(folder / "whole");
  CHECK(manifest.label_scale == builder.label_scale());
  CHECK(to_yaml(manifest.settings) == to_yaml(builder.settings()));
  CHECK(manifest.count == 6);
  CHECK(manifest.shards.size() == 2);
  const Verified verified = verify_shards(folder / "whole", 5);
  CHECK(verified.shards == 2);
  CHECK(verified.samples == 6);

  const FgrSet read(folder / "whole"), made(FgrBuilder{settings});
  REQUIRE(read.size() == 6);
  REQUIRE(made.size() == 6);
  CHECK(read.label().scale == made.label().scale);
  for (int64_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    const FgrSample a = read.sample(i), b = made.sample(i), fresh = builder.samples_of(i / 4)[i % 4];
    CHECK(read.facts(i).source == made.facts(i).source);
    CHECK(read.facts(i).severity == doctest::Approx(made.facts(i).severity).epsilon(1e-4));
    CHECK((a.gt.data == b.gt.data));
    CHECK((a.sr.data == b.sr.data));
    CHECK((a.mask.data == b.mask.data));
    CHECK((a.label.data == b.label.data));
    CHECK(test::largest_difference(a.label, fresh.label) < 0.501f / 255);
    CHECK(test::largest_difference(a.gt, fresh.gt) < 1e-6f);
    // Zero outside the mask, and where the swap was clean.
    for (std::size_t k = 0; k < fresh.label.data.size(); ++k)
      if (fresh.mask.data[k] == 0 || fresh.facts.source.starts_with("clean")) REQUIRE(fresh.label.data[k] == 0);
  }

  // Damage: found by the hash of the sample where it is read, and of the shard where it is verified.
  const auto shard = folder / "parts" / "fgr-000001.tar";
  const auto sound = read_file(shard);
  auto bytes = sound;
  bytes[700] ^= std::byte{1};
  write_file(shard, bytes);
  CHECK(test::input_message([&] { FgrSet(folder / "parts").sample(4); }).find("fgr-000001.tar") != std::string::npos);
  CHECK(FgrSet(folder / "parts").sample(3).facts.index == 3);
  CHECK(test::input_message([&] { verify_shards(folder / "parts", 0); }).find("fgr-000001.tar") != std::string::npos);
  build_shards(settings, folder / "parts", 0, 2, 4);  // the other part does not certify it
  CHECK(test::input_message([&] { verify_shards(folder / "parts", 0); }).find("fgr-000001.tar") != std::string::npos);
  build_shards(settings, folder / "parts", 1, 2, 4);
  CHECK((contents(folder / "parts") == whole));
  FgrSettings strict = settings;
  strict.photos.strict = true;
  build_shards(strict, folder / "parts", 0, 1, 4);  // no sample depends on it
  write_file(shard, std::span(sound).first(sound.size() - 600));
  CHECK(test::input_message([&] { FgrSet(folder / "parts").size(); }).find("fgr-000001.tar") != std::string::npos);
  std::filesystem::remove(shard);
  CHECK(test::input_message([&] { FgrSet(folder / "parts").size(); }).find("fgr-000001.tar") != std::string::npos);

  // Another set does not mix in.
  FgrSettings other = settings;
  other.manual_seed = 1;
  CHECK(test::input_message([&] { build_shards(other, folder / "whole", 0, 1, 4); }).find("other settings") != std::string::npos);
}

TEST_CASE("samples: every kind turns up, labels use their range, and what shares a crop shares its pictures") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  settings.count = 80;
  settings.clean_variation.prob = 0.4;
  const FgrBuilder builder(settings);
  int clean = 0, whole = 0, bicubic = 0, distorted = 0, varied = 0;
  float highest = 0;
  for (int64_t crop = 0; crop < builder.crops(); ++crop) {
    const auto samples = builder.samples_of(crop);
    REQUIRE(samples.size() == 4);
    for (const FgrSample& s : samples) {
      clean += s.facts.source.starts_with("clean");
      bicubic += s.facts.source == "bicubic";
      distorted += s.facts.source.starts_with("distort:");
      whole += s.facts.mask == "whole";
      varied += !s.facts.variation.empty();
      CHECK((s.gt.data == samples[0].gt.data));
      CHECK(s.facts.photo == samples[0].facts.photo);
      if (s.facts.source.starts_with("clean")) CHECK(s.facts.severity == 0);
      for (float v : s.label.data) highest = std::max(highest, v);
    }
  }
  CHECK(clean + bicubic + distorted == 80);
  CHECK(clean > 1);
  CHECK(clean < 20);
  CHECK(bicubic > 12);
  CHECK(distorted > 12);
  CHECK(whole > 4);
  CHECK(whole < 36);
  CHECK(varied > 8);
  CHECK(varied < 60);
  CHECK(highest == 1);
}

TEST_CASE("samples: photographs in turn, a whole swap first; a config from before these keys means what it meant") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  settings.count = 12;
  settings.samples_per_crop = 3;
  settings.clean_prob = 0.5;
  settings.whole_prob = 0;
  settings.photo_order = "in_turn";
  settings.whole_first = true;
  const FgrBuilder builder(settings);
  for (int64_t crop = 0; crop < 4; ++crop)
    for (const FgrSample& s : builder.samples_of(crop)) {
      CHECK(s.facts.photo == (crop % 2 ? "photos-b" : "photos-a"));
      CHECK((s.facts.mask == "whole") == (s.facts.index % 3 == 0));
      if (s.facts.index % 3 == 0) CHECK(!s.facts.source.starts_with("clean"));
    }
  FgrSettings old;
  load_settings(old, "count: 5\n", "test");
  CHECK(old.photo_order == "random");
  CHECK(!old.whole_first);
}

TEST_CASE("sources: distort stays what old sets were made with, distort-all draws from every kind") {
  const TestFolder folder;
  const FgrSettings settings = small_set(folder);
  const PhotoSet photos(settings.photos, 64);
  const Image gt(32, 32, 3, 0.5f);
  const auto found = [&](const std::string& name) {
    std::set<std::string> kinds;
    const auto sources = make_sources({name}, photos, {}, {});
    for (uint64_t item = 0; item < 500; ++item)
      kinds.insert(sources[0].make({.crop = {}, .gt = gt, .seed = 1, .item = item}).name.substr(8));
    return kinds;
  };
  CHECK(found("distort") == std::set<std::string>(distortion_kinds().begin(), distortion_kinds().begin() + 10));
  CHECK(found("distort-all") == std::set<std::string>(distortion_kinds().begin(), distortion_kinds().end()));
}

TEST_CASE("sources: a folder of pictures made elsewhere gives the crop's own place; partners must fit") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  make_directory(folder / "sr");
  settings.sources = {(folder / "sr").string()};
  const auto message = [&] { return test::input_message([&] { FgrBuilder{settings}; }); };
  write_image(folder / "sr" / "another.png", test::photo(80, 72));
  CHECK(message().find("found none among 1 files") != std::string::npos);
  write_image(folder / "sr" / "photos-a.png", test::photo(80, 64));
  CHECK(message().find("expected 80 x 72") != std::string::npos);
  // The photograph itself, inverted: what is made must be the inverted crop. photos-b has no partner and takes the other source.
  Image inverted = test::photo(80, 72);
  for (float& v : inverted.data) v = 1 - v;
  write_image(folder / "sr" / "photos-a.png", inverted);
  settings.sources.push_back("bicubic");
  settings.source_weights = {1, 1e-6};
  settings.clean_prob = 0;
  settings.count = 40;
  const FgrBuilder builder(settings);
  int from_folder = 0;
  for (int64_t crop = 0; crop < builder.crops(); ++crop)
    for (const FgrSample& s : builder.samples_of(crop)) {
      CHECK((s.facts.source == "bicubic") == (s.facts.photo == "photos-b"));
      if (s.facts.photo != "photos-a") continue;
      ++from_folder;
      for (std::size_t i = 0; i < s.gt.data.size(); ++i) REQUIRE(s.sr.data[i] == doctest::Approx(1 - s.gt.data[i]).epsilon(1e-5));
    }
  CHECK(from_folder > 4);
}

TEST_CASE("set: samples of an unwanted kind are left out") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  settings.count = 24;
  FgrSet set(FgrBuilder{settings});
  set.keep([](const FgrFacts& facts) { return facts.mask == "whole"; });
  CHECK(set.size() > 0);
  CHECK(set.size() < 24);
  for (int64_t i = 0; i < set.size(); ++i) CHECK(set.sample(i).facts.mask == "whole");
  CHECK(test::input_message([&] { set.keep([](const FgrFacts&) { return false; }); }).find("found none") != std::string::npos);
}

TEST_CASE("set: two sets are one after the other, without what either left out; labels of another meaning do not mix") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const TestFolder folder;
  FgrSettings settings = small_set(folder);
  settings.count = 24;
  settings.label.scale = 0.3;
  FgrSet whole(FgrBuilder{settings});
  const FgrSet all = whole;
  whole.keep([](const FgrFacts& facts) { return facts.mask == "whole"; });
  FgrSet both = whole;
  both.add(all, "second");
  REQUIRE(both.size() == whole.size() + 24);
  CHECK((both.sample(whole.size() - 1).sr.data == whole.sample(whole.size() - 1).sr.data));
  CHECK((both.sample(whole.size() + 5).label.data == all.sample(5).label.data));
  CHECK(both.facts(both.size() - 1).index == 23);
  both.keep([](const FgrFacts& facts) { return facts.mask == "whole"; });
  CHECK(both.size() == 2 * whole.size());
  settings.count = 4;
  settings.label.scale = 0.31;
  const FgrSet other(FgrBuilder{settings});
  const std::string said = test::input_message([&] { both.add(other, "second"); });
  CHECK(said.find("second") != std::string::npos);
  CHECK(said.find("scale 0.31") != std::string::npos);
}

TEST_CASE("encoding: pictures of one crop are encoded once; pictures of two sizes and a wrong hash are refused") {
  FgrSample sample{
      .gt = test::photo(40, 40), .sr = test::photo(40, 40), .mask = Image(40, 40, 1, 1.0f), .label = Image(40, 40, 1, 0.5f), .facts = {}};
  for (Image* image : {&sample.gt, &sample.sr})
    for (float& v : image->data) v = std::round(v * 255) / 255;
  FgrSample second = sample;
  second.sr = Image(40, 40, 3, 1.0f);
  const auto encoded = encode_samples({sample, second});
  CHECK((encoded[0].gt == encoded[1].gt));
  CHECK((encoded[0].sr == encoded[0].gt));
  CHECK((encoded[1].sr != encoded[0].sr));
  const auto decode = [](const EncodedSample& e) { return decode_sample(e.gt, e.sr, e.mask, e.map, e.json, "TAR"); };
  CHECK((decode(encoded[1]).sr.data == second.sr.data));
  CHECK((decode(encoded[1]).gt.data == sample.gt.data));
  EncodedSample changed = encoded[0];
  changed.map = encoded[0].mask;
  CHECK(test::input_message([&] { decode(changed); }).find("hash") != std::string::npos);
  FgrSample odd = sample;
  odd.mask = Image(40, 39, 1, 1.0f);
  CHECK(test::input_message([&] { decode(encode_samples({odd})[0]); }).find("40 x 39") != std::string::npos);
}

TEST_CASE("facts: JSON both ways; what is no such JSON is an input error") {
  const FgrFacts facts{.index = 7,
                       .photo = "a \"b\"",
                       .x = 3,
                       .y = 4,
                       .mirrored = true,
                       .source = "distort:jpeg",
                       .mask = "brush",
                       .variation = "grain",
                       .area = 0.25,
                       .severity = 0.5};
  std::string hash;
  const FgrFacts read = facts_from_json(to_json(facts, "xxh3:00"), "TAR", hash);
  CHECK(hash == "xxh3:00");
  CHECK(read.photo == facts.photo);
  CHECK(read.mirrored);
  CHECK(read.severity == 0.5);
  FgrFacts odd;
  odd.photo = "\xff\xfe";
  CHECK(to_json(odd, "").find("\\ufffd") != std::string::npos);
  for (const std::string text : {"", "{", "[]", "{}", R"({"index": "x"})"})
    CHECK(test::input_message([&] { facts_from_json(text, "TAR", hash); }).find("TAR") != std::string::npos);
}

TEST_CASE("manifest: what is no manifest is an input error") {
  const TestFolder folder;
  CHECK(test::input_message([&] { read_manifest(folder.path()); }) != "");
  for (
      const std::string text :
      {"", "{", "[]", "{}", R"({"format": "finpercep-fgr-1"})",
       R"({"format": "finpercep-fgr-2", "label_scale": "x", "count": 1, "crops_per_shard": 1, "config": "", "models": [], "skipped": [], "shards": []})",
       R"({"format": "finpercep-fgr-2", "label_scale": 1, "count": 1, "crops_per_shard": 0, "config": "", "models": [], "skipped": [], "shards": []})",
       R"({"format": "finpercep-fgr-2", "label_scale": 1, "count": 4, "crops_per_shard": 4611686018427387904, "config": "{count: 4, samples_per_crop: 4}", "models": [], "skipped": [], "shards": []})",
       R"({"format": "finpercep-fgr-2", "label_scale": 1, "count": 1, "crops_per_shard": 1, "config": "", "models": [], "skipped": [], "shards": [{"file": "../x.tar", "hash": ""}]})"}) {
    CAPTURE(text);
    write_file(folder / "manifest.json", text);
    CHECK(test::input_message([&] { read_manifest(folder.path()); }).find("manifest.json") != std::string::npos);
  }
}
