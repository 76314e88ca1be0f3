// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/score_response.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <tuple>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/evaluate/correlation.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

namespace {

// Pictures are judged as files hold them (rounded_to_bytes): what is less than a step of 8 bits moves S too, and no user has it.
constexpr int blends = 6;

void require_photos(const std::vector<Image>& photos) {
  if (photos.empty()) throw usage_error("response: expected at least one photograph, found none");
}

Image blend(const Image& a, const Image& b, double share) {
  Image out = a;
  for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] += static_cast<float>(share) * (b.data[i] - out.data[i]);
  return out;
}

Image degraded(const Image& photo, const DegradeSettings& degradation, const ResponseOptions& options, std::size_t index) {
  return degrade(photo, degradation, Random(options.seed, "degrade", index));
}

}  // namespace

Table distortion_response(const std::vector<Image>& photos, const Score& score, const ResponseOptions& options) {
  require_photos(photos);
  const auto& kinds = distortion_kinds();
  struct Answers {
    std::vector<double> pairs, srcc, drop;
  };
  std::vector<Answers> answers(kinds.size());
  Answers all;
  Progress progress("distortions", static_cast<int64_t>(photos.size() * kinds.size()));
  for (std::size_t p = 0; p < photos.size(); ++p) {
    const double of_clean = score(photos[p]);
    Answers of_photo;
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      stop_if_interrupted();
      std::vector<double> scores = {of_clean}, weakness = {0};
      double in_order = 0;
      for (int level = 1; level <= distortion_levels; ++level) {
        scores.push_back(score(
            rounded_to_bytes(distort(photos[p], kinds[k], level_strength(level), Random(options.seed, "response", p * kinds.size() + k)))));
        weakness.push_back(-level);
        in_order += scores[level] < scores[level - 1];
      }
      answers[k].pairs.push_back(in_order / distortion_levels);
      answers[k].srcc.push_back(spearman(scores, weakness));
      answers[k].drop.push_back(of_clean - scores.back());
      of_photo.pairs.push_back(answers[k].pairs.back());
      if (std::isfinite(answers[k].srcc.back())) of_photo.srcc.push_back(answers[k].srcc.back());
      of_photo.drop.push_back(answers[k].drop.back());
      progress.advance();
    }
    // A photograph is one item of the interval, not one for each of its distortions.
    all.pairs.push_back(mean_of(of_photo.pairs));
    if (!of_photo.srcc.empty()) all.srcc.push_back(mean_of(of_photo.srcc));
    all.drop.push_back(mean_of(of_photo.drop));
  }
  Table table;
  table.columns = {{"distortion", std::nullopt, 0},
                   {"photographs", std::nullopt, 0},
                   {"pairs in order", true, 3},
                   {"SRCC", true, 3},
                   {"S clean - S level 5", true, 3}};
  const auto add = [&](const std::string& name, const Answers& a) {
    table.rows.push_back({name, static_cast<double>(photos.size()), mean_cell(a.pairs, options.bootstrap),
                          mean_cell(a.srcc, options.bootstrap), mean_cell(a.drop, options.bootstrap)});
  };
  for (std::size_t k = 0; k < kinds.size(); ++k) add(kinds[k], answers[k]);
  add("all", all);
  table.caption = fmt::format(
      "Mean [95 % bootstrap interval over photographs]. Each photograph clean and at {} levels of each distortion. pairs in order: share "
      "of adjacent levels (clean included) with S lower at the stronger "
      "one; SRCC: of S with weakness, within a photograph.",
      distortion_levels);
  return table;
}

void check_factor(const NamedResolver& restorer, const DegradeSettings& degradation) {
  constexpr int side = 64;
  const Image made = restorer.second(Image(side, side, 3, 0.5f), 0);
  if (made.width != side * degradation.scale)
    throw usage_error(
        fmt::format("degradation: scale: expected {}, the factor of {}, found {}", made.width / side, restorer.first, degradation.scale));
}

Table restoration_response(const std::vector<Image>& photos, const Score& score, const std::vector<NamedResolver>& restorers,
                           const DegradeSettings& degradation, const ResponseOptions& options) {
  require_photos(photos);
  const MetricSet metrics({"lpips", "dists", "psnr"}, {.device = options.device});
  constexpr std::array<const char*, 3> sets = {"blends", "restorations", "both"};
  std::array<std::array<std::vector<double>, 3>, sets.size()> found;  // [set][metric]: one SRCC a photograph
  Progress progress("restorations", static_cast<int64_t>(photos.size()));
  for (std::size_t p = 0; p < photos.size(); ++p) {
    stop_if_interrupted();
    const Image& clean = photos[p];
    const Image lr = degraded(clean, degradation, options, p);
    Image coarse = resize(lr, clean.width, clean.height, Resize::bicubic);
    clamp_unit(coarse);
    std::array<std::vector<double>, 4> blended, restored;  // score, then the metrics
    const auto measure = [&](std::array<std::vector<double>, 4>& to, const Image& made) {
      const Image picture = rounded_to_bytes(made);
      to[0].push_back(score(picture));
      const std::vector<double> values = metrics.compute(picture, clean);
      for (std::size_t m = 0; m < values.size(); ++m) to[m + 1].push_back(values[m]);
    };
    for (int b = 0; b < blends; ++b) measure(blended, blend(coarse, clean, static_cast<double>(b) / (blends - 1)));
    for (const auto& [name, restore] : restorers) measure(restored, restore(lr, options.seed + p));
    auto both = blended;
    for (std::size_t m = 0; m < both.size(); ++m) both[m].insert(both[m].end(), restored[m].begin(), restored[m].end());
    const std::array<const std::array<std::vector<double>, 4>*, sets.size()> lists = {&blended, &restored, &both};
    for (std::size_t s = 0; s < sets.size(); ++s)
      for (std::size_t m = 0; m < 3; ++m) found[s][m].push_back(spearman((*lists[s])[0], (*lists[s])[m + 1]));
    progress.advance();
  }
  Table table;
  table.columns = {{"pictures", std::nullopt, 0},
                   {"photographs", std::nullopt, 0},
                   {"SRCC with LPIPS-alex", false, 3},
                   {"SRCC with DISTS", false, 3},
                   {"SRCC with PSNR", true, 3}};
  for (std::size_t s = 0; s < sets.size(); ++s) {
    std::vector<Cell> row = {std::string(sets[s]), static_cast<double>(photos.size())};
    for (const auto& values : found[s]) row.push_back(mean_cell(values, options.bootstrap));
    table.rows.push_back(std::move(row));
  }
  std::vector<std::string> names;
  for (const auto& restorer : restorers) names.push_back(restorer.first);
  table.caption = fmt::format(
      "Rank correlation of S with full-reference metrics among restorations of one photograph, mean [95 % bootstrap interval over "
      "photographs]; -1 is best for the distances. blends: {} from bicubic to "
      "clean; restorations: {}.",
      blends, fmt::join(names, ", "));
  return table;
}

std::vector<StageReward> stage_rewards(const RewardModel& model, const Image& picture, at::Device device) {
  at::NoGradGuard no_grad;
  std::vector<StageReward> out;
  for (const Judgement& j : model.judge_all(to_tensor(picture).to(device), model.settings.stage)) {
    out.push_back({j.score.item<double>(), j.score_logit.item<double>(), 1 - severity_of(to_image(j.map))});
  }
  return out;
}

Table reward_variance(const std::vector<Image>& photos, const std::function<std::vector<StageReward>(const Image&)>& judge,
                      const SuperResolver& generator, const DegradeSettings& degradation, int draws, const ResponseOptions& options) {
  require_photos(photos);
  if (draws < 2) throw usage_error(fmt::format("response: expected at least 2 draws, found {}", draws));
  struct Spread {
    std::vector<double> score, logit, region, mean;
  };
  std::vector<Spread> stages;
  Progress progress("draws", static_cast<int64_t>(photos.size()) * draws);
  for (std::size_t p = 0; p < photos.size(); ++p) {
    const Image lr = degraded(photos[p], degradation, options, p);
    std::vector<Spread> of_draws;  // by stage: the values themselves
    for (int d = 0; d < draws; ++d) {
      stop_if_interrupted();
      const std::vector<StageReward> rewards = judge(rounded_to_bytes(generator(lr, static_cast<uint64_t>(d))));
      of_draws.resize(rewards.size());
      for (std::size_t k = 0; k < rewards.size(); ++k) {
        of_draws[k].score.push_back(rewards[k].score);
        of_draws[k].logit.push_back(rewards[k].logit);
        of_draws[k].region.push_back(rewards[k].region);
      }
      progress.advance();
    }
    stages.resize(of_draws.size());
    for (std::size_t k = 0; k < of_draws.size(); ++k) {
      stages[k].score.push_back(deviation_of(of_draws[k].score));
      stages[k].logit.push_back(deviation_of(of_draws[k].logit));
      stages[k].region.push_back(deviation_of(of_draws[k].region));
      stages[k].mean.push_back(mean_of(of_draws[k].score));
    }
  }
  Table table;
  table.columns = {{"stage", std::nullopt, 0},
                   {"photographs", std::nullopt, 0},
                   {"std S", std::nullopt, 4},
                   {"std logit S", std::nullopt, 4},
                   {"std region term", std::nullopt, 4},
                   {"mean S", std::nullopt, 3},
                   {"std S / std over photographs", std::nullopt, 3}};
  for (std::size_t k = 0; k < stages.size(); ++k) {
    const Spread& s = stages[k];
    std::vector<Cell> row = {fmt::format("{}", k), static_cast<double>(photos.size())};
    for (const auto* values : {&s.score, &s.logit, &s.region, &s.mean}) row.push_back(mean_cell(*values, options.bootstrap));
    row.emplace_back();
    if (photos.size() > 1) row.back() = mean_of(s.score) / deviation_of(s.mean);
    table.rows.push_back(std::move(row));
  }
  table.caption = fmt::format(
      "Standard deviation over {} draws of one degraded photograph, mean [95 % bootstrap interval over photographs], by stage of the "
      "ladder, the reward in fp32. region term: 1 - mean of the worst fifth of the map.",
      draws);
  return table;
}

}  // namespace finpercep
