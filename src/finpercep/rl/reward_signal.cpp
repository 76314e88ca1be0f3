// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/reward_signal.h"

#include <algorithm>
#include <cmath>

namespace finpercep {

void RewardSignalSettings::visit(SettingsVisitor& v) {
  v.field("score_weight", score_weight, "l1, of the normalised score", {.min = 0, .max = 1000});
  v.field("map_weight", map_weight, "l2, of the map term", {.min = 0, .max = 1000});
  v.choice("pool", pool, "how the map becomes one severity: max (the paper), top (mean of the worst share), mean", {"max", "top", "mean"});
  v.field("top_share", top_share, "share of pixels for pool = top", {.min = 0.0001, .max = 1});
}

at::Tensor pool_map(const at::Tensor& map, const std::string& pool, double top_share) {
  const at::Tensor flat = map.flatten(1);
  if (pool == "max") return std::get<0>(flat.max(1));
  if (pool == "mean") return flat.mean(1);
  const int64_t worst = std::max<int64_t>(1, std::llround(top_share * static_cast<double>(flat.size(1))));
  return std::get<0>(flat.topk(worst, 1, true, false)).mean(1);
}

void RunningScore::add(const at::Tensor& scores, double decay) {
  const at::Tensor s = scores.detach().to(at::kCPU, at::kDouble);
  mean = decay * mean + (1 - decay) * s.mean().item<double>();
  square = decay * square + (1 - decay) * s.square().mean().item<double>();
  weight = decay * weight + (1 - decay);
}

double RunningScore::deviation() const {
  if (weight == 0) return 1;
  const double m = mean / weight;
  return std::max(0.1, std::sqrt(std::max(0.0, square / weight - m * m)));
}

at::Tensor reward_value(const Judgement& judgement, const RunningScore& running, const RewardSignalSettings& settings) {
  const double mean = running.weight > 0 ? running.mean / running.weight : 0;
  const at::Tensor score = (judgement.score_logit - mean) / running.deviation();
  return settings.score_weight * score + settings.map_weight * (1 - pool_map(judgement.map, settings.pool, settings.top_share));
}

}  // namespace finpercep
