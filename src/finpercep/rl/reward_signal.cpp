// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/reward_signal.h"

#include <algorithm>
#include <cmath>

#include "finpercep/nets/optimise.h"

namespace finpercep {

void RewardSignalSettings::visit(SettingsVisitor& v) {
  v.field("score_weight", score_weight, "l1, of the normalised score", {.min = 0, .max = 1000});
  v.field("map_weight", map_weight, "l2, of the map term", {.min = 0, .max = 1000});
  v.choice("pool", pool, "how the map becomes one severity: max (the paper), top (mean of the worst share), softmax (log-mean-exp), mean",
           {"max", "top", "softmax", "mean"});
  v.field("top_share", top_share, "share of pixels for pool = top", {.min = 0.0001, .max = 1});
  v.field("sharpness", sharpness, "for pool = softmax: large is the maximum, small the mean", {.min = 0.01, .max = 1000});
}

at::Tensor as_file(const at::Tensor& picture) {
  const at::Tensor clamped = picture.to(at::kFloat).clamp(0, 1);
  return clamped + ((clamped * 255).round() / 255 - clamped).detach();
}

Judgement judge_exactly(const RewardModel& reward, const at::Tensor& pictures, int64_t stage) {
  const MixedPrecision exact(pictures.device(), at::kFloat);
  return reward.judge(pictures.to(at::kFloat), stage);
}

namespace {

// Over the last dimension.
at::Tensor severity(const at::Tensor& m, const RewardSignalSettings& s) {
  if (s.pool == "max") return std::get<0>(m.max(-1));
  if (s.pool == "mean") return m.mean(-1);
  if (s.pool == "softmax") return (at::logsumexp(m * s.sharpness, -1) - std::log(static_cast<double>(m.size(-1)))) / s.sharpness;
  const int64_t worst = std::max<int64_t>(1, std::llround(s.top_share * static_cast<double>(m.size(-1))));
  return std::get<0>(m.topk(worst, -1, true, false)).mean(-1);
}

}  // namespace

at::Tensor pool_map(const at::Tensor& map, const RewardSignalSettings& settings) { return severity(map.flatten(1), settings); }

at::Tensor pool_cells(const at::Tensor& map, const RewardSignalSettings& settings, int64_t cell) {
  if (cell == 0) return pool_map(map, settings).view({-1, 1, 1, 1});
  TORCH_CHECK(map.size(2) % cell == 0 && map.size(3) % cell == 0, "pool_cells: expected sides that are multiples of ", cell, ", found ",
              map.sizes());
  const int64_t h = map.size(2) / cell, w = map.size(3) / cell;
  return severity(map.reshape({map.size(0), 1, h, cell, w, cell}).permute({0, 1, 2, 4, 3, 5}).flatten(4), settings);
}

void RunningScore::add(const at::Tensor& scores, double decay) {
  const at::Tensor s = scores.detach().to(at::kCPU, at::kDouble);
  const double m = s.mean().item<double>();
  if (!std::isfinite(m)) return;  // its update is skipped; what is normalised later must not suffer
  mean = decay * mean + (1 - decay) * m;
  square = decay * square + (1 - decay) * s.square().mean().item<double>();
  weight = decay * weight + (1 - decay);
}

double RunningScore::deviation() const {
  if (weight == 0) return 1;
  const double m = mean / weight;
  return std::max(0.1, std::sqrt(std::max(0.0, square / weight - m * m)));
}

at::Tensor RunningScore::normalised(const at::Tensor& scores) const { return (scores - (weight > 0 ? mean / weight : 0)) / deviation(); }

at::Tensor reward_value(const Judgement& judgement, const RunningScore& running, const RewardSignalSettings& settings) {
  return settings.score_weight * running.normalised(judgement.score_logit) + settings.map_weight * (1 - pool_map(judgement.map, settings));
}

}  // namespace finpercep
