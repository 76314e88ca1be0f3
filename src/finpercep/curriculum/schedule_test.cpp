// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/schedule.h"

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("each stage holds for its iterations, the last for ever") {
  const FixedSchedule schedule{{0, 2, 4}, {3, 1, 2}};
  CHECK(schedule.total() == 6);
  const int64_t expected[] = {0, 0, 0, 2, 4, 4, 4, 4};
  for (int64_t i = 0; i < 8; ++i) CHECK(schedule.stage_at(i) == expected[i]);
  CHECK(schedule.stage_at(1000000) == 4);
}

TEST_CASE("a single phase") {
  const FixedSchedule schedule{{4}, {10}};
  CHECK(schedule.total() == 10);
  CHECK(schedule.stage_at(0) == 4);
  CHECK(schedule.stage_at(10) == 4);
}
