// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/schedule.h"

#include <doctest/doctest.h>

#include <limits>

#include "finpercep/base/error.h"

using namespace finpercep;

TEST_CASE("each stage holds for its iterations, the last for ever; a saved state goes on alike") {
  const FixedSchedule schedule{{0, 2, 4}, {3, 1, 2}};
  CHECK(schedule.total() == 6);
  const int64_t expected[] = {0, 0, 0, 2, 4, 4, 4, 4};
  for (int64_t saved_at = -1; saved_at < 8; ++saved_at) {
    StageClock clock(schedule);
    for (int64_t i = 0; i < 8; ++i) {
      if (i == saved_at) {
        const std::vector<double> state = clock.state();
        clock = StageClock(schedule);
        clock.restore(state);
      }
      CHECK(clock.stage() == expected[i]);
      CHECK((clock.advance({0, 0, 0}) == (i == 2 || i == 3 ? Switch::limit : Switch::stay)));
    }
  }
}

TEST_CASE("a single phase") {
  StageClock clock({{4}, {10}});
  for (int64_t i = 0; i < 20; ++i) {
    CHECK(clock.stage() == 4);
    CHECK((clock.advance({0, 0, 0}) == Switch::stay));
  }
}

namespace {

Learning learned(double gap, double group_std = 0, double grad_norm = 1) { return {gap, group_std, grad_norm}; }

const AutoScheduleSettings rules{.min_iters = 10, .window = 4, .plateau = 1, .variance_ratio = 0.5, .gradient_ratio = 0.3};

// The iteration after which a phase of this history ends, and why.
std::pair<int64_t, Switch> end_of(const std::vector<Learning>& history) {
  for (std::size_t i = 1; i <= history.size(); ++i)
    if (const Switch reason = reason_to_switch({history.begin(), history.begin() + static_cast<std::ptrdiff_t>(i)}, rules);
        reason != Switch::stay)
      return {static_cast<int64_t>(i), reason};
  return {0, Switch::stay};
}

}  // namespace

TEST_CASE("automatic: a reward that keeps rising stays, one that stops is left, noise is no rise") {
  std::vector<Learning> rising, stopping, noisy;
  for (int i = 0; i < 40; ++i) {
    rising.push_back(learned(0.1 * i));
    stopping.push_back(learned(0.1 * std::min(i, 20)));
    noisy.push_back(learned(i % 2 == 0 ? 0.5 : -0.5));
  }
  CHECK((end_of(rising).second == Switch::stay));
  CHECK((end_of(stopping).second == Switch::plateau));
  CHECK(end_of(stopping).first > 20);
  CHECK(end_of(stopping).first <= 28);
  CHECK((end_of(noisy) == std::pair<int64_t, Switch>{10, Switch::plateau}));  // not before min_iters
}

TEST_CASE("automatic: a phase ends where the pictures of one input are judged alike, where gradients vanish") {
  std::vector<Learning> alike, small, single;
  for (int i = 0; i < 40; ++i) {
    alike.push_back(learned(0.1 * i, i < 15 ? 1.0 : 0.3));
    small.push_back(learned(0.1 * i, 0, i < 15 ? 1.0 : 0.1));
    single.push_back(learned(0.1 * i, 0));
  }
  CHECK((end_of(alike).second == Switch::variance));
  CHECK(end_of(alike).first > 15);
  CHECK((end_of(small).second == Switch::gradient));
  CHECK((end_of(single).second == Switch::stay));  // an algorithm that makes one picture of an input has no spread to fall
}

TEST_CASE("automatic: a skipped iteration is no evidence, and hides none") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<Learning> small, stopping;
  for (int i = 0; i < 40; ++i) {
    small.push_back(learned(0.1 * i, 0, i == 2 ? nan : i < 15 ? 1.0 : 0.1));
    stopping.push_back(learned(i == 22 ? nan : 0.1 * std::min(i, 20)));
  }
  CHECK((end_of(small).second == Switch::gradient));
  CHECK((end_of(stopping).second == Switch::plateau));
  CHECK(end_of(stopping).first <= 28);
  std::vector<Learning> lost;
  for (int i = 0; i < 40; ++i) lost.push_back(i < 15 ? learned(0.1 * i, 1) : learned(nan, nan, nan));
  CHECK((end_of(lost).second == Switch::stay));  // nothing but skipped iterations is no vanished gradient
}

TEST_CASE("automatic: phases follow each other by their own histories; the last holds; a saved state goes on alike") {
  const auto run = [](int64_t saved_at) {
    StageClock clock({{0, 2, 4}, {30, 30, 30}}, rules);
    std::vector<int64_t> stages;
    for (int64_t i = 0; i < 90; ++i) {
      if (i == saved_at) {
        const std::vector<double> state = clock.state();
        clock = StageClock({{0, 2, 4}, {30, 30, 30}}, rules);
        clock.restore(state);
      }
      stages.push_back(clock.stage());
      const Switch reason = clock.advance(learned(i < 20 ? 0.1 * static_cast<double>(i) : 2));
      CHECK((reason != Switch::stay) == (i + 1 < 90 && clock.stage() != stages.back()));
    }
    return stages;
  };
  const std::vector<int64_t> stages = run(-1);
  CHECK(stages.front() == 0);
  CHECK(stages[20] == 0);
  CHECK(stages[29] == 2);
  CHECK(stages[50] == 4);  // the second phase sees no rise: it ends at min_iters
  CHECK(stages.back() == 4);
  for (const int64_t saved_at : {5, 24, 31, 60}) CHECK(run(saved_at) == stages);
  StageClock limited({{0, 1, 2}, {17, 3, 5}}, rules);
  std::vector<int64_t> ends;
  for (int64_t i = 0; i < 25; ++i)
    if (const Switch reason = limited.advance(learned(0.1 * static_cast<double>(i))); reason != Switch::stay) {
      CHECK((reason == Switch::limit));
      ends.push_back(i + 1);
    }
  CHECK(ends == std::vector<int64_t>{17, 20});  // the second below min_iters
  const FixedSchedule fixed = limited.as_fixed(25);
  CHECK(fixed.stages == std::vector<int64_t>{0, 1, 2});
  CHECK(fixed.iters == std::vector<int64_t>{17, 3, 5});
  StageClock shorter({{0}, {30}}, rules);
  CHECK_THROWS_WITH_AS(shorter.restore({2, .1, 0, 1}), "stages: expected at least 3, as the saved run is in its phase 3, found 1", Error);
}

TEST_CASE("automatic: after a rollback the reward is not said to have stopped rising, and the phase still has its limit") {
  const auto run = [](bool forgets) {
    StageClock clock({{0, 1}, {60, 1}}, rules);
    for (int64_t i = 0; i < 100; ++i) {
      // The gap rises; at 25 the pictures are taken back to what they were at 10, and it rises again.
      if (i == 25 && forgets) clock.forget();
      const int64_t since = i < 25 ? i : i - 15;
      if (const Switch reason = clock.advance(learned(0.1 * static_cast<double>(since))); reason != Switch::stay)
        return std::pair{i + 1, reason};
    }
    return std::pair{int64_t{0}, Switch::stay};
  };
  CHECK((run(false).second == Switch::plateau));
  CHECK(run(false).first < 35);
  CHECK((run(true) == std::pair{int64_t{60}, Switch::limit}));
}
