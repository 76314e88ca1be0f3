// SPDX-License-Identifier: Apache-2.0
// finpercep eval --map FGR_DIR.. [--baselines] and finpercep eval --response PHOTOS.. [--only FILE]: what is measured of a reward.
#include "cli/eval_reward.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/settings.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/evaluate/localise.h"
#include "finpercep/evaluate/score_response.h"

namespace finpercep {

namespace {

std::vector<Image> read_photos(const RewardQuestions& questions) {
  const PhotoSet photos({.photos = questions.photos, .only = questions.only}, static_cast<int>(questions.size));
  const int64_t count = questions.samples == 0 ? photos.size() : std::min(questions.samples, photos.size());
  std::vector<Image> out;
  for (int64_t k = 0; k < count; ++k)
    out.push_back(photos.centre_crop(k * photos.size() / count, static_cast<int>(questions.size), static_cast<int>(questions.size)));
  return out;
}

std::string stem_of(const std::string& folder, const char* part) { return fmt::format("{}-{}", folder_name(folder), part); }

}  // namespace

std::vector<std::string> reward_tables(const RewardQuestions& questions) {
  std::vector<std::string> stems;
  for (const std::string& folder : questions.fgr_sets)
    for (const char* part : {"map", "score", "summary"}) stems.push_back(stem_of(folder, part));
  if (!questions.photos.empty()) stems.insert(stems.end(), {"response-distortions", "response-restorations", "response-draws"});
  return stems;
}

void add_reward_flags(CLI::App& command, RewardQuestions& q) {
  CLI::Option* map =
      command.add_option("--map", q.fgr_sets, "folder of FGR samples: how well the reward's maps and scores agree with their labels")
          ->take_all();
  command.add_flag("--baselines", q.baselines, "with --map: maps that need no training beside the reward's")->needs(map);
  CLI::Option* response =
      command
          .add_option("--response", q.photos,
                      "clean photographs: does the reward's score follow distortions, degrees of restoration, draws of a generator")
          ->take_all();
  command.add_option("--only", q.only, "text file of stems: --response takes no other photographs")->needs(response);
  command.add_option("--size", q.size, "side of the centre crops of --response, pixels, a multiple of 4")
      ->capture_default_str()
      ->transform(whole_in(96, 1024))
      ->needs(response);
  command.add_option("--degradation", q.degradation, "YAML file of --response's LR pictures; default: Real-ESRGAN x4plus")->needs(response);
  command.add_option("--drawn", q.drawn, "the generator whose draws --response compares")->capture_default_str()->needs(response);
  command.add_option("--draws", q.draws, "how many seeds")->capture_default_str()->transform(whole_in(2, 1000))->needs(response);
  add_model_flags(command, q.model, q.stage);
  command.add_option("--samples", q.samples, "samples of --map, drawn, or photographs of --response, evenly spread; 0: all")
      ->capture_default_str()
      ->transform(whole_in(0, 1'000'000'000));
}

void answer_reward_questions(const RewardQuestions& q, const std::function<const Judge&()>& judge_of,
                             const std::function<void(const std::string&, const Table&)>& on_table) {
  const Judge& judge = judge_of();
  const BootstrapOptions bootstrap{.resamples = q.resamples};
  // What cannot be had for the second question is said before the work on the first.
  const Compute compute = resolve_compute(q.device, q.dtype);
  std::vector<Image> photos;
  DegradeSettings degradation;
  std::vector<NamedResolver> restorers;
  SuperResolver drawn;
  if (!q.photos.empty()) {
    if (!q.degradation.empty()) load_settings(degradation, read_config_text(q.degradation), q.degradation);
    for (const std::string& name : q.generators) restorers.emplace_back(name, make_super_resolver(name, {.compute = compute}));
    drawn = make_super_resolver(q.drawn, {.compute = compute});
    for (const NamedResolver& restorer : restorers) check_factor(restorer, degradation);
    check_factor({q.drawn, drawn}, degradation);
    if (q.size % degradation.scale != 0)
      throw usage_error(fmt::format("--size: expected a multiple of {}, found {}", degradation.scale, q.size));
    photos = read_photos(q);
  }
  for (const std::string& folder : q.fgr_sets) {
    const Localisation found =
        localise(FgrSet(std::filesystem::path(folder)), judge,
                 {.count = q.samples, .baselines = q.baselines, .bootstrap = bootstrap, .device = q.device, .progress = folder});
    on_table(stem_of(folder, "map"), found.maps);
    on_table(stem_of(folder, "score"), found.scores);
    if (!found.summary.rows.empty()) on_table(stem_of(folder, "summary"), found.summary);  // few samples answer none of its questions
  }
  if (q.photos.empty()) return;
  const Score score = [&](const Image& picture) { return double{judge(picture).score}; };
  const ResponseOptions options{.seed = q.seed, .bootstrap = bootstrap, .device = q.device};
  on_table("response-distortions", distortion_response(photos, score, options));
  on_table("response-restorations", restoration_response(photos, score, restorers, degradation, options));
  const auto model = load_reward(q.model, compute.device);
  on_table("response-draws", reward_variance(
                                 photos, [&](const Image& picture) { return stage_rewards(*model, picture, compute.device); }, drawn,
                                 degradation, q.draws, options));
}

}  // namespace finpercep
