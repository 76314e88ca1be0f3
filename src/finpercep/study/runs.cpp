// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/base/inputs.h"
#include "finpercep/base/log.h"
#include "finpercep/base/text.h"
#include "finpercep/curriculum/ccl.h"
#include "finpercep/fgr/label.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

void check_config(const StudyRun& run) {
  const std::filesystem::path file = run.folder / "config.yaml";
  if (!std::filesystem::exists(file)) return;
  RlSettings found;
  load_settings(found, read_config_text(file.string()),
                file.string());  // read and written again: a key that is new since then has its default
  if (const auto lines = first_difference(to_yaml(run.settings), to_yaml(found)))
    throw input_error(
        fmt::format("study: {}: expected '{}', found '{}'. it is a run of other settings: remove it, or choose another "
                    "output folder",
                    file.string(), lines->first, lines->second));
  expect_inputs(run.folder, rl_inputs(run.settings));
}

}  // namespace

std::vector<StudyRun> study_runs(const std::vector<Method>& methods, const std::filesystem::path& output) {
  std::vector<StudyRun> runs;
  for (const Method& method : methods)
    for (const int64_t seed : method.seeds) {
      runs.push_back({method.name, seed, method.rl, output / "runs" / fmt::format("{}-seed{}", method.name, seed)});
      runs.back().settings.manual_seed = seed;
    }
  return runs;
}

void check_runs(const std::vector<StudyRun>& runs, const PhotoSettings& held_out, const std::vector<std::string>& only) {
  std::vector<std::string> known;
  for (const StudyRun& run : runs) known.push_back(run.method);
  known.erase(std::unique(known.begin(), known.end()), known.end());
  for (const std::string& name : only)
    if (std::ranges::find(known, name) == known.end())
      throw usage_error(fmt::format("--only: expected one of {}, found '{}'", fmt::join(known, ", "), name));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const StudyRun& run = runs[i];
    check_config(run);
    if (i > 0 && runs[i - 1].method == run.method) continue;  // its seeds differ in nothing that follows
    try {
      RewardFacts facts;
      const auto reward = load_reward(run.settings.reward, at::kCPU, &facts);
      const at::Device device = resolve_compute(run.settings.device, run.settings.dtype).device;  // a traced module may know only its own
      check(run.settings, *load_generator(run.settings.network_g, device), reward->settings.stage);
      if (run.settings.coevolve_freq > 0) {
        expect_label_scale(facts, run.settings.reward);
        LabelFeatures(at::kCPU, facts.label_features);  // are the weights there?
      }
      photo_files(run.settings.datasets.photos);
      for (const PhotoSettings& photos : {held_out, run.settings.val.photos}) {
        if (photos.photos.empty()) continue;
        const auto both = trained_on(photos, run.settings.datasets.photos);
        if (!both.empty())
          throw usage_error(
              fmt::format("held-out photographs: {}: expected one that is not trained on, found it ({} of them) in datasets.photos. name "
                          "their stems in datasets.photos.exclude",
                          both.front().string(), both.size()));
      }
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("study: method '{}': {}", run.method, error.what()));
    }
  }
}

std::vector<std::string> train_runs(const std::vector<StudyRun>& runs, const std::vector<std::string>& only) {
  std::vector<std::string> failures;
  for (const StudyRun& run : runs) {
    if (!only.empty() && std::ranges::find(only, run.method) == only.end()) continue;
    if (run.finished()) {
      log_info(fmt::format("--- {}, seed {}: finished before", run.method, run.seed));
      continue;
    }
    log_info(fmt::format("--- {}, seed {}", run.method, run.seed));
    try {
      run_rl(run.settings, run.folder, std::filesystem::exists(run.folder / "config.yaml"));
    } catch (const Error& error) {
      if (error.code() != ExitCode::model) throw;
      log_warning(fmt::format("{}, seed {}: {}. going on with the next run", run.method, run.seed, error.what()));
      failures.push_back(fmt::format("{}, seed {}: {}", run.method, run.seed, error.what()));
      continue;
    }
    if (!run.finished())
      throw model_error(fmt::format("study: {}: expected the generator of this finished run, it is gone. remove {}",
                                    run.generator().string(), run.folder.string()));
  }
  return failures;
}

}  // namespace finpercep
