// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/score_response.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

double mean_of(const Cell& cell) { return std::get<Interval>(cell).mean; }

double distance(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) sum += std::abs(a.data[i] - b.data[i]);
  return sum / static_cast<double>(a.data.size());
}

}  // namespace

TEST_CASE("distortions: a score that knows the clean picture is in order, its reverse never, a constant has no rank") {
  const std::vector<Image> photos = {test::photo(101, 75)};
  const ResponseOptions options{.bootstrap = {.resamples = 20}};
  const Table right = distortion_response(
      photos, [&](const Image& x) { return -distance(x, photos[0]); }, options);
  const Table wrong = distortion_response(
      photos, [&](const Image& x) { return distance(x, photos[0]); }, options);
  const Table flat = distortion_response(
      photos, [](const Image&) { return 0.5; }, options);
  REQUIRE(right.rows.size() == distortion_kinds().size() + 1);
  CHECK(std::get<std::string>(right.rows.back()[0]) == "all");
  CHECK(mean_of(right.rows.back()[2]) > 0.97);
  CHECK(mean_of(right.rows.back()[3]) > 0.97);
  CHECK(mean_of(right.rows.back()[4]) > 0);
  CHECK(mean_of(wrong.rows.back()[2]) < 0.03);
  CHECK(mean_of(wrong.rows.back()[3]) < -0.97);
  CHECK(mean_of(flat.rows.back()[2]) == 0);
  CHECK(std::holds_alternative<std::monostate>(flat.rows.back()[3]));
  CHECK_THROWS_AS(distortion_response(
                      {}, [](const Image&) { return 0.5; }, options),
                  Error);
}

TEST_CASE("restorations: blends towards the clean picture are ranked as the metrics rank them") {
  if (!test::have_weights({"dists", "lpips_alex", "lpips_vgg"})) return;
  const std::vector<Image> photos = {test::photo(96, 64)};
  const auto bicubic = [](const Image& lr, uint64_t) { return resize(lr, 4 * lr.width, 4 * lr.height, Resize::bicubic); };
  const Table table = restoration_response(photos, [&](const Image& x) { return -distance(x, photos[0]); }, {{"bicubic", bicubic}}, {},
                                           {.bootstrap = {.resamples = 20}});
  REQUIRE(table.rows.size() == 3);
  CHECK(mean_of(table.rows[0][2]) == doctest::Approx(-1));
  CHECK(mean_of(table.rows[0][3]) == doctest::Approx(-1));
  CHECK(mean_of(table.rows[0][4]) == doctest::Approx(1));
  CHECK(std::holds_alternative<std::monostate>(table.rows[1][2]));  // one restoration has no rank
}

TEST_CASE("draws: the spread by stage is the standard deviation over seeds") {
  const std::vector<Image> photos = {test::photo(32, 32), test::photo(48, 32)};
  const auto generator = [](const Image& lr, uint64_t seed) {
    return Image(4 * lr.width, 4 * lr.height, 3, 0.1f * static_cast<float>(seed) + 0.001f * static_cast<float>(lr.width));
  };
  const auto judge = [](const Image& x) { return std::vector<StageReward>{{x.data[0], 2 * x.data[0], 0.5}, {3 * x.data[0], 0, 0}}; };
  const Table table = reward_variance(photos, judge, generator, {}, 3, {.bootstrap = {.resamples = 20}});
  REQUIRE(table.rows.size() == 2);
  CHECK(mean_of(table.rows[0][2]) == doctest::Approx(0.1).epsilon(1e-4));  // of 0, .1, .2
  CHECK(mean_of(table.rows[0][3]) == doctest::Approx(0.2).epsilon(1e-4));
  CHECK(mean_of(table.rows[0][4]) == 0);
  CHECK(mean_of(table.rows[1][2]) == doctest::Approx(0.3).epsilon(1e-4));
  CHECK_THROWS_AS(reward_variance(photos, judge, generator, {}, 1, {}), Error);
  const RewardModel model({.stage = 2}, 3);
  const auto rewards = stage_rewards(model, photos[0], at::kCPU);
  REQUIRE(rewards.size() == 3);
  for (const StageReward& r : rewards) CHECK((r.score > 0 && r.score < 1 && r.region >= 0 && r.region <= 1));
  CHECK(rewards[0].region == doctest::Approx(0.5));  // no map yet
}
