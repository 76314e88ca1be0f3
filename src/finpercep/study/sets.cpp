// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/sets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <span>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/test_set.h"
#include "finpercep/fgr/shards.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/study/methods.h"

namespace finpercep {

namespace {

std::string fingerprint(const std::string& text) { return hash_of(std::as_bytes(std::span(text))); }

StudySet held_out(const HeldOutSettings& settings, DegradeSettings degradation) {
  const PhotoSet photos(settings.photos, 128);
  const auto pairs = std::make_shared<std::vector<TrainingPair>>();
  StudySet set{.name = "held-out", .title = "Held-out photographs", .facts = ""};
  for (int64_t i = 0; i < std::min(settings.count, photos.size()); ++i) {
    const int side = static_cast<int>(settings.side) / 4 * 4;
    const Image full = photos.centre_crop(i, side, side);
    Image gt = crop(full, 0, 0, full.width / 4 * 4, full.height / 4 * 4);
    Image lr = degrade(gt, degradation, Random(1, "demo", static_cast<uint64_t>(i)));
    pairs->push_back({std::move(gt), std::move(lr)});
    set.names.push_back(photos.name(i));
  }
  set.facts = fmt::format("{} centre crops of {} px of {}, degradation {}", set.size(), settings.side, fmt::join(settings.photos.photos, ", "), fingerprint(to_yaml(degradation)));
  set.lq = [pairs](int64_t i) { return (*pairs)[i].lr; };
  set.gt = [pairs](int64_t i) { return (*pairs)[i].gt; };
  return set;
}

StudySet from_folders(const std::string& text) {
  const TestSet folders = parse_test_set(text, "study: test_sets");
  check_name(folders.name, fmt::format("test set '{}'", text));
  const auto references = list_images({folders.gt});
  const auto pairs = match_pairs(list_images({folders.lq}), references, "LR picture");
  StudySet set{.name = folders.name, .title = fmt::format("{} ({} pictures)", folders.name, pairs.size()), .facts = fmt::format("LQ {}, GT {}", folders.lq, folders.gt)};
  std::vector<std::filesystem::path> in_order;
  for (const Pair& pair : pairs) {
    set.names.push_back(pair.name);
    in_order.push_back(pair.second);
  }
  set.lq = [pairs](int64_t i) { return read_image(pairs[i].first); };
  set.gt = [pairs](int64_t i) { return read_image(pairs[i].second); };
  if (folders.sr.empty()) return set;
  set.sr_name = std::filesystem::path(folders.sr).lexically_normal().filename().string();
  if (set.sr_name.empty()) set.sr_name = std::filesystem::path(folders.sr).lexically_normal().parent_path().filename().string();
  for (const Pair& pair : match_pairs(in_order, list_images({folders.sr}), "reference", "SR picture")) set.sr.push_back(pair.second);
  return set;
}

}  // namespace

std::string model_facts(const std::string& name_or_file) {
  std::filesystem::path path = name_or_file;
  if (!std::filesystem::is_regular_file(path)) {
    const auto shipped = shipped_models();
    const auto found = std::ranges::find(shipped, name_or_file, [](const std::filesystem::path& model) { return model.stem().string(); });
    if (found == shipped.end()) return name_or_file;
    path = *found;
  }
  return fmt::format("{} {}", path.filename().string(), hash_of(read_file(path)));
}

std::vector<StudySet> study_sets(const StudySettings& study) {
  std::vector<StudySet> sets;
  if (!study.held_out.photos.photos.empty()) {
    sets.push_back(held_out(study.held_out, study.rl.datasets.degradation));
    sets.back().metrics = study.metrics;
  }
  for (const std::string& text : study.test_sets) {
    StudySet set = from_folders(text);
    if (std::ranges::find(sets, set.name, &StudySet::name) != sets.end()) throw usage_error(fmt::format("study: test_sets: expected names that differ, found '{}' twice", set.name));
    set.metrics = study.test_metrics.empty() ? study.metrics : study.test_metrics;
    sets.push_back(std::move(set));
  }
  if (sets.empty()) throw usage_error("study: expected pictures to measure on, found neither held_out.photos.photos nor test_sets");
  for (StudySet& set : sets) set.facts += fmt::format(", {} pictures {}", set.size(), fingerprint(fmt::format("{}", fmt::join(set.names, "\n"))));
  return sets;
}

}  // namespace finpercep
