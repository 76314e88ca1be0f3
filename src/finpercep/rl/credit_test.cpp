// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/credit.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/rl/advantage.h"

using namespace finpercep;

namespace {

double value(const at::Tensor& t) { return t.item<double>(); }

at::Tensor normals(uint64_t item, at::IntArrayRef shape) {
  Random random(3, "credit_test", item);
  return normal_tensor(random, shape);
}

}  // namespace

TEST_CASE("means by cell: over channels and pixels of each square; one cell where cell is 0") {
  const at::Tensor x = at::arange(2 * 3 * 4 * 6, at::kFloat).view({2, 3, 4, 6});
  const at::Tensor cells = cell_mean(x, 2);
  CHECK(cells.sizes() == at::IntArrayRef({2, 1, 2, 3}));
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 3; ++j)
        CHECK(value(cells[n][0][i][j]) == doctest::Approx(value(x[n].slice(1, 2 * i, 2 * i + 2).slice(2, 2 * j, 2 * j + 2).mean())));
  CHECK(cell_mean(x, 0).sizes() == at::IntArrayRef({2, 1, 1, 1}));
  CHECK(at::allclose(cells.mean({2, 3}), cell_mean(x, 0).view({2, 1})));
  CHECK_THROWS_AS(cell_mean(x, 4), c10::Error);
}

TEST_CASE("severity of cells: the pool of each cell alone") {
  const at::Tensor map = at::rand({2, 1, 8, 12});
  for (const std::string pool : {"max", "top", "softmax", "mean"}) {
    CAPTURE(pool);
    const RewardSignalSettings settings{.pool = pool, .top_share = 0.25};
    const at::Tensor cells = pool_cells(map, settings, 4);
    CHECK(cells.sizes() == at::IntArrayRef({2, 1, 2, 3}));
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 3; ++j)
        CHECK(at::allclose(cells.select(2, i).select(2, j).flatten(),
                           pool_map(map.slice(2, 4 * i, 4 * i + 4).slice(3, 4 * j, 4 * j + 4), settings)));
    CHECK(at::equal(pool_cells(map, settings, 0).flatten(), pool_map(map, settings)));
  }
}

TEST_CASE("softmax lies between mean and maximum, and goes from one to the other") {
  const at::Tensor map = at::rand({3, 1, 8, 8});
  const auto pool = [&](const std::string& name, double sharpness = 20) { return pool_map(map, {.pool = name, .sharpness = sharpness}); };
  CHECK(value((pool("softmax") < pool("max")).all()) == 1);
  CHECK(value((pool("softmax") > pool("mean")).all()) == 1);
  CHECK(at::allclose(pool("softmax", 0.01), pool("mean"), 1e-2, 1e-3));
  CHECK(at::allclose(pool("softmax", 1000), pool("max"), 1e-2, 5e-3));
  const at::Tensor two = at::tensor({0.2f, 0.7f}).view({1, 1, 1, 2});
  CHECK(value(pool_map(two, {.pool = "softmax", .sharpness = 3})) == doctest::Approx(std::log((std::exp(0.6) + std::exp(2.1)) / 2) / 3));
}

TEST_CASE("reward by cell: the score is the picture's, the map term the cell's") {
  Judgement judgement;
  judgement.score_logit = at::tensor({0.2f, 0.9f});
  judgement.map = at::rand({2, 1, 8, 8});
  const RunningScore running{.mean = 0.3, .square = 0.2, .weight = 0.5};  // mean .6, deviation .2
  const RewardSignalSettings settings{.score_weight = 2, .map_weight = 3};
  const RewardParts parts = reward_parts(judgement, running, settings, 4);
  CHECK(parts[0].second.sizes() == at::IntArrayRef({2, 1, 1, 1}));
  CHECK(value(parts[0].second[1]) == doctest::Approx(1.5));
  CHECK(at::equal(parts[1].second, 1 - pool_cells(judgement.map, settings, 4)));
  // As one picture, their weighted sum is the reward.
  const RewardParts whole = reward_parts(judgement, running, settings, 0);
  CHECK(at::allclose((2 * whole[0].second + 3 * whole[1].second).flatten(), reward_value(judgement, running, settings)));
}

TEST_CASE("weighted gradient: the value to the bit, the gradient times the weight, whose mean is 1") {
  const at::Tensor map = at::cat({at::zeros({1, 1, 8, 4}), at::ones({1, 1, 8, 4})}, 3);
  const at::Tensor weight = defect_weight(map, 4, 3);
  CHECK(weight.sizes() == at::IntArrayRef({1, 1, 8, 8}));
  CHECK(value(weight.mean()) == doctest::Approx(1));
  CHECK(value(weight[0][0][0][7]) == doctest::Approx(4 * value(weight[0][0][0][0])));
  CHECK(at::allclose(defect_weight(map, 4, 0), at::ones_like(weight)));
  const at::Tensor x = normals(1, {1, 3, 8, 8}).requires_grad_(true);
  const at::Tensor seen = weigh_gradient(x, weight);
  CHECK(at::equal(seen, x));
  (seen * seen).sum().backward();
  CHECK(at::allclose(x.grad(), 2 * x.detach() * weight));
}

TEST_CASE("z-scores within a group, by a loop; groups without difference are zero, not NaN") {
  at::Tensor reward = normals(2, {6, 1, 2, 1});
  reward.slice(0, 3, 6).fill_(0.3);
  const at::Tensor z = group_zscore(reward, 3);
  for (int64_t c = 0; c < 2; ++c) {
    double mean = 0, square = 0;
    for (int64_t n = 0; n < 3; ++n) mean += value(reward[n][0][c][0]) / 3;
    for (int64_t n = 0; n < 3; ++n) square += std::pow(value(reward[n][0][c][0]) - mean, 2) / 3;
    for (int64_t n = 0; n < 3; ++n)
      CHECK(value(z[n][0][c][0]) == doctest::Approx((value(reward[n][0][c][0]) - mean) / (std::sqrt(square) + 1e-4)).epsilon(1e-3));
  }
  CHECK(at::equal(z.slice(0, 3, 6), at::zeros({3, 1, 2, 1})));
}

TEST_CASE("fusion: each reward counts by its weight, not by its scale") {
  const at::Tensor a = normals(3, {8, 1, 1, 1}), b = normals(4, {8, 1, 1, 1});
  const Advantage small = fuse_advantages({{1, a}, {1, b}}, 4, 5), large = fuse_advantages({{1, 100 * a}, {1, b}}, 4, 5);
  CHECK(at::allclose(small.value, large.value, 1e-2, 1e-2));
  CHECK(value(small.value.mean()) == doctest::Approx(0).epsilon(1e-5));
  CHECK(value(small.value.square().mean()) == doctest::Approx(1).epsilon(1e-3));
  CHECK(small.zero_share == 0);
  CHECK(value(fuse_advantages({{1, a}}, 4, 0.5).value.abs().max()) == doctest::Approx(0.5));
  // A part of weight 0 changes nothing, not even which groups live.
  const Advantage alone = fuse_advantages({{1, a}}, 4, 5), with = fuse_advantages({{1, a}, {0, b}}, 4, 5);
  CHECK(at::equal(alone.value, with.value));
}

TEST_CASE("fusion: groups without difference are dead, whole or by cell, and the others are whitened without them") {
  at::Tensor score = normals(5, {8, 1, 1, 1});
  score.slice(0, 4, 8).fill_(1);
  const Advantage whole = fuse_advantages({{1, score}}, 4, 5);
  CHECK(whole.zero_share == doctest::Approx(0.5));
  CHECK(value(whole.value.slice(0, 4, 8).abs().max()) == 0);
  CHECK(value(whole.value.slice(0, 0, 4).square().mean()) == doctest::Approx(1).epsilon(1e-3));
  at::Tensor cells = normals(6, {4, 1, 2, 2});
  cells.select(2, 0).select(2, 1).fill_(0.5);
  const Advantage spatial = fuse_advantages({{0.5, cells}}, 4, 5);
  CHECK(spatial.zero_share == doctest::Approx(0.25));
  CHECK(value(spatial.value.select(2, 0).select(2, 1).abs().max()) == 0);
  CHECK(spatial.value.sizes() == at::IntArrayRef({4, 1, 2, 2}));
  const Advantage none = fuse_advantages({{1, at::ones({4, 1, 1, 1})}}, 4, 5);
  CHECK(none.zero_share == 1);
  CHECK(none.group_std == 0);
  CHECK(value(none.value.abs().max()) == 0);
}
