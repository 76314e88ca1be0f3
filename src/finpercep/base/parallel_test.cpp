// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/parallel.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("parallel_for does each item once, for any number of threads") {
  CHECK(default_threads() >= 1);
  for (const int threads : {-1, 0, 1, 2, 7, 1000000}) {
    std::vector<std::atomic<int>> done(500);
    parallel_for(500, threads, [&](int64_t i) { ++done[i]; });
    CAPTURE(threads);
    for (const auto& n : done) REQUIRE(n == 1);
  }
  parallel_for(0, 4, [](int64_t) { FAIL("no item to do"); });
  parallel_for(-3, 4, [](int64_t) { FAIL("no item to do"); });
}

TEST_CASE("parallel_rows gives out each row once, in the same parts for any number of threads") {
  using Parts = std::set<std::pair<int, int>>;
  const auto parts = [](int rows, int threads) {
    std::mutex mutex;
    Parts found;
    parallel_rows(rows, 4, threads, [&](int first, int end) {
      std::lock_guard lock(mutex);
      found.emplace(first, end);
    });
    return found;
  };
  for (const int threads : {0, 1, 3}) {
    CHECK((parts(10, threads) == Parts{{0, 4}, {4, 8}, {8, 10}}));
    CHECK((parts(8, threads) == Parts{{0, 4}, {4, 8}}));
    CHECK(parts(0, threads).empty());
  }
}

TEST_CASE("parallel_for runs on several threads") {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  std::atomic<int> inside{0};
  parallel_for(2, 2, [&](int64_t) {
    ++inside;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (inside < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();  // each waits for the other
    std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  CHECK(ids.size() == 2);
}

TEST_CASE("an exception stops parallel_for and comes out of it") {
  for (const int threads : {1, 3}) {
    std::atomic<int> started{0};
    CHECK_THROWS_WITH_AS(parallel_for(1000000, threads,
                                      [&](int64_t i) {
                                        ++started;
                                        if (i == 10) throw std::runtime_error("item 10");
                                      }),
                         "item 10", std::runtime_error);
    CHECK(started < 1000000);
  }
}

TEST_CASE("parallel_for can be nested") {
  std::atomic<int64_t> sum{0};
  parallel_for(4, 2, [&](int64_t i) { parallel_for(10, 2, [&](int64_t j) { sum += 10 * i + j; }); });
  CHECK(sum == 780);
}

TEST_CASE("Prefetcher hands items out in order, whatever order they are made in") {
  for (const int threads : {0, 1, 4}) {
    Prefetcher<std::unique_ptr<int64_t>> items(5, 105, threads, 8, [](int64_t i) {
      std::this_thread::sleep_for(std::chrono::microseconds((i * 37) % 200));
      return std::make_unique<int64_t>(i);
    });
    for (int64_t i = 5; i < 105; ++i) REQUIRE(**items.next() == i);
    CHECK_FALSE(items.next());
    CHECK_FALSE(items.next());
  }
}

TEST_CASE("Prefetcher works ahead by its depth and no further") {
  std::atomic<int64_t> made{0};
  Prefetcher<int64_t> items(0, 1000, 2, 4, [&](int64_t i) {
    ++made;
    return i;
  });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (made < 4 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(made == 4);
  CHECK(items.next() == 0);
}

TEST_CASE("Prefetcher without depth or items still ends") {
  Prefetcher<int64_t> shallow(0, 3, 2, 0, [](int64_t i) { return i; });
  for (int64_t i = 0; i < 3; ++i) CHECK(shallow.next() == i);
  Prefetcher<int64_t> empty(3, 3, 2, 2, [](int64_t i) { return i; });
  CHECK_FALSE(empty.next());
}

TEST_CASE("an exception in make surfaces at its item; the items around it come through") {
  Prefetcher<int64_t> items(0, 6, 2, 3, [](int64_t i) {
    if (i == 3) throw std::runtime_error("item 3");
    return i;
  });
  for (int64_t i = 0; i < 3; ++i) CHECK(items.next() == i);
  CHECK_THROWS_WITH_AS(items.next(), "item 3", std::runtime_error);
  CHECK(items.next() == 4);
  CHECK(items.next() == 5);
  CHECK_FALSE(items.next());
}

TEST_CASE("a Prefetcher that is dropped early stops its threads") {
  std::atomic<int> made{0};
  {
    Prefetcher<int64_t> items(0, 1 << 30, 3, 16, [&](int64_t i) {
      ++made;
      return i;
    });
    CHECK(items.next() == 0);
  }
  const int after = made;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(made == after);
  CHECK(made < 100);
}
