// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/coevolve.h"

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("labels with another share of the pixels are as severe on the whole as before") {
  const LabelFeatures features(at::kCPU, "efficientnet");
  std::vector<at::Tensor> gt, sr;
  for (uint64_t i = 0; i < 2; ++i) {
    Random random(1, "coevolve_test", i);
    gt.push_back(normal_tensor(random, {2, 3, 64, 64}).mul(0.2).add(0.5).clamp(0, 1));
    sr.push_back((gt.back() + 0.05 * normal_tensor(random, {2, 3, 64, 64})).clamp(0, 1));
  }
  const RewardFacts facts{.label_alpha = 0.6, .label_scale = 0.4};
  const auto mean_label = [&](const RewardFacts& f) {
    double sum = 0;
    for (std::size_t i = 0; i < gt.size(); ++i)
      sum += raw_difference(features, gt[i], sr[i], at::ones({2, 1, 64, 64}), f.label_alpha).mean().item<double>() / f.label_scale;
    return sum;
  };
  for (const double alpha : {0.0, 0.3, 1.0}) {
    const RewardFacts other = relabelled(facts, alpha, features, gt, sr);
    CHECK(other.label_alpha == alpha);
    CHECK(mean_label(other) == doctest::Approx(mean_label(facts)).epsilon(1e-5));
  }
  CHECK(relabelled(facts, 0.6, features, gt, sr).label_scale == doctest::Approx(0.4));
}
