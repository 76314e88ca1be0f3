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
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

std::string hash_of_pixels(const Image& picture) { return hash_of(std::as_bytes(std::span(picture.data))); }

StudySet held_out(const HeldOutSettings& settings, const DegradeSettings& degradation) {
  const PhotoSet photos(settings.photos, 128, settings.count);
  check_names_differ(photos, "study: held_out");
  // The stream's name is that of the command that first drew these pictures; published numbers are of them.
  const auto pairs = std::make_shared<const std::vector<TrainingPair>>(
      centre_pairs(photos, settings.count, static_cast<int>(settings.side), degradation, 1, "demo"));
  StudySet set{.name = "held-out", .title = "Held-out photographs", .facts = ""};
  std::string seen;
  for (std::size_t i = 0; i < pairs->size(); ++i) {
    seen += hash_of_pixels((*pairs)[i].gt) + hash_of_pixels((*pairs)[i].lr);
    set.names.push_back(photos.name(static_cast<int64_t>(i)));
  }
  set.facts = fmt::format("centre crops of {} px of {}, {}", settings.side, fmt::join(settings.photos.photos, ", "), hash_of(seen));
  set.lq = [pairs](int64_t i) { return (*pairs)[i].lr; };
  set.gt = [pairs](int64_t i) { return (*pairs)[i].gt; };
  return set;
}

StudySet from_folders(const std::string& text) {
  const TestSet folders = parse_test_set(text, "study: test_sets");
  if (folders.gt.empty())
    throw usage_error(fmt::format("study: test_sets: expected NAME=LQ:GT, found '{}', which has no references", text));
  const auto references = list_images({folders.gt});
  const auto pairs = match_pairs(list_images({folders.lq}), references, "LR picture");
  StudySet set{.name = folders.name, .title = fmt::format("{} ({} pictures)", folders.name, pairs.size()), .facts = ""};
  set.names = names_of(pairs);
  std::vector<std::filesystem::path> in_order;
  std::string seen;
  for (const Pair& pair : pairs) {
    in_order.push_back(pair.second);
    seen += hash_of(read_file(pair.first)) + hash_of(read_file(pair.second));
  }
  set.facts = fmt::format("LQ {}, GT {}, {}", folders.lq, folders.gt, hash_of(seen));
  set.lq = [pairs](int64_t i) { return read_image(pairs[i].first); };
  set.gt = [pairs](int64_t i) { return read_image(pairs[i].second); };
  for (const Named& folder : folders.made) {
    StudySet::Made made{.name = folder.name == folder.what ? folder_name(folder.what) : folder.name, .facts = "", .files = {}};
    seen.clear();
    for (const Pair& pair : match_pairs(in_order, list_images({folder.what}), "reference", "SR picture")) {
      made.files.push_back(pair.second);
      seen += hash_of(read_file(pair.second));
    }
    made.facts = fmt::format("pictures of {}, {}", folder.what, hash_of(seen));
    set.made.push_back(std::move(made));
  }
  return set;
}

}  // namespace

std::string model_facts(const std::string& name_or_file) {
  const std::string hash = weights_hash(name_or_file), name = std::filesystem::path(name_or_file).filename().string();
  return hash.empty() ? name : fmt::format("{} {}", name, hash);
}

std::vector<StudySet> study_sets(const StudySettings& study) {
  std::vector<StudySet> sets;
  if (!study.held_out.photos.photos.empty()) {
    sets.push_back(held_out(study.held_out, study.rl.datasets.degradation));
    sets.back().metrics = study.metrics;
  }
  for (const std::string& text : study.test_sets) {
    StudySet set = from_folders(text);
    if (std::ranges::find(sets, set.name, &StudySet::name) != sets.end())
      throw usage_error(fmt::format("study: test_sets: expected names that differ, found '{}' twice", set.name));
    set.metrics = study.test_metrics.empty() ? study.metrics : study.test_metrics;
    sets.push_back(std::move(set));
  }
  if (sets.empty()) throw usage_error("study: expected pictures to measure on, found neither held_out.photos.photos nor test_sets");
  for (StudySet& set : sets)
    set.facts += fmt::format(", {} pictures {}", set.size(), hash_of(fmt::format("{}", fmt::join(set.names, "\n"))));
  return sets;
}

}  // namespace finpercep
