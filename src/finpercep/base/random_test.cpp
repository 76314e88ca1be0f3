// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/random.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"

using namespace finpercep;

namespace {

/// Mean, variance, skewness and kurtosis of a sample.
std::array<double, 4> moments(const std::vector<double>& x) {
  const double n = static_cast<double>(x.size()), mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double m2 = 0, m3 = 0, m4 = 0;
  for (const double v : x) {
    const double d = v - mean;
    m2 += d * d / n;
    m3 += d * d * d / n;
    m4 += d * d * d * d / n;
  }
  return {mean, m2, m3 / std::pow(m2, 1.5), m4 / (m2 * m2)};
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// Largest distance between the empirical and the normal distribution, times sqrt(n): above 1.95 in one of 1000 samples.
double kolmogorov(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double n = static_cast<double>(x.size()), f = normal_cdf(x[i]);
    worst = std::max({worst, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  return worst * std::sqrt(static_cast<double>(x.size()));
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {
  using Block = std::array<uint32_t, 4>;
  constexpr uint32_t f = 0xffffffff;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({f, f, f, f}, {f, f}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream depends on seed, purpose and item and on nothing else") {
  Random first(7, "mask", 3), same(7, "mask", 3);
  for (int i = 0; i < 9; ++i) CHECK(first.bits() == same.bits());
  std::set<std::pair<uint32_t, uint32_t>> starts;
  for (const uint64_t seed : {7, 8}) {
    for (const char* purpose : {"mask", "degrade", ""}) {
      for (const uint64_t item : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
        Random random(seed, purpose, item);
        const uint32_t a = random.bits(), b = random.bits();
        starts.insert({a, b});
      }
    }
  }
  CHECK(starts.size() == 18);
}

TEST_CASE("a stream never comes back to a block, nor into the next item's") {
  Random here(1, "x", 5), next(1, "x", 6);
  std::set<uint64_t> seen;
  for (int i = 0; i < 20000; ++i) {
    for (Random* random : {&here, &next}) {
      const uint64_t high = random->bits();
      seen.insert(high << 32 | random->bits());
    }
  }
  CHECK(seen.size() == 40000);
}

TEST_CASE("uniform lies in [0, 1) and fills it evenly") {
  Random random(1, "uniform");
  std::vector<int> bins(100);
  for (int i = 0; i < 200000; ++i) {
    const double u = random.uniform();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    ++bins[static_cast<std::size_t>(u * 100)];
  }
  double chi2 = 0;
  for (const int n : bins) chi2 += (n - 2000.0) * (n - 2000.0) / 2000;
  CHECK(chi2 < 149.0);  // 99 degrees of freedom: above in one of 1000
  CHECK(chi2 > 60.0);   // and not suspiciously even
  for (int i = 0; i < 1000; ++i) {
    const double u = random.uniform(1.0, std::nextafter(1.0, 2.0));
    CHECK(u == 1.0);
    const double v = random.uniform(-3, 5);
    CHECK((v >= -3 && v < 5));
  }
}

TEST_CASE("integer reaches both ends, evenly, also on the widest range") {
  Random random(2, "integer");
  std::vector<int> bins(7);
  for (int i = 0; i < 70000; ++i) ++bins.at(static_cast<std::size_t>(random.integer(-3, 3) + 3));
  for (const int n : bins) CHECK(std::abs(n - 10000) < 5 * 93);
  CHECK(random.integer(4, 4) == 4);
  bool negative = false, positive = false;
  for (int i = 0; i < 64; ++i) {
    const int64_t v = random.integer(INT64_MIN, INT64_MAX);
    negative |= v < 0;
    positive |= v > 0;
  }
  CHECK((negative && positive));
  // A range of 3/4 of 2^64 is where `bits % span` would be wrong: its lower third would come twice as often.
  int low = 0;
  for (int i = 0; i < 6000; ++i) low += random.integer(INT64_MIN, INT64_MAX / 2) < INT64_MIN / 2;
  CHECK(std::abs(low - 2000) < 5 * 37);
  CHECK_THROWS_AS(random.integer(1, 0), Error);
}

TEST_CASE("chance and pick follow their probabilities") {
  Random random(3, "pick");
  std::vector<int> bins(4);
  int yes = 0;
  for (int i = 0; i < 60000; ++i) {
    yes += random.chance(0.25);
    ++bins.at(random.pick({1, 0, 2, 3}));
  }
  CHECK(std::abs(yes - 15000) < 5 * 106);
  CHECK(bins[1] == 0);
  CHECK(std::abs(bins[0] - 10000) < 5 * 92);
  CHECK(std::abs(bins[2] - 20000) < 5 * 116);
  CHECK_FALSE(random.chance(0));
  CHECK(random.chance(1));
  CHECK_THROWS_AS(random.pick({}), Error);
  CHECK_THROWS_AS(random.pick({0, 0}), Error);
  CHECK_THROWS_AS(random.pick({1, -1}), Error);
  CHECK_THROWS_AS(random.pick({1, std::nan("")}), Error);
}

TEST_CASE("normal and fill_normal are normal") {
  Random random(4, "normal");
  std::vector<double> slow(200000);
  for (double& v : slow) v = random.normal();
  std::vector<float> buffer(1000003);
  random.fill_normal(buffer.data(), buffer.size());
  for (const auto& sample : {slow, std::vector<double>(buffer.begin(), buffer.end())}) {
    const double n = static_cast<double>(sample.size());
    const auto [mean, variance, skewness, kurtosis] = moments(sample);
    CHECK(std::abs(mean) < 4 / std::sqrt(n));
    CHECK(std::abs(variance - 1) < 4 * std::sqrt(2 / n));
    CHECK(std::abs(skewness) < 4 * std::sqrt(6 / n));
    CHECK(std::abs(kurtosis - 3) < 4 * std::sqrt(24 / n));
    CHECK(kolmogorov(sample) < 1.95);
    const double beyond4 = static_cast<double>(std::count_if(sample.begin(), sample.end(), [](double v) { return std::abs(v) > 4; }));
    CHECK(std::abs(beyond4 - n * 6.334e-5) < 5 * std::sqrt(n * 6.334e-5));  // the tails are there
  }
}

TEST_CASE("values of fill_normal are not correlated with their neighbours") {
  Random random(5, "correlation");
  std::vector<float> x(1 << 18);
  random.fill_normal(x.data(), x.size());
  for (const std::size_t lag : {1, 2, 3, 4, 16, 32, 64, 96, 128}) {
    double sum = 0, squares = 0;
    for (std::size_t i = lag; i < x.size(); ++i) {
      sum += static_cast<double>(x[i]) * x[i - lag];
      squares += (static_cast<double>(x[i]) * x[i] - 1) * (static_cast<double>(x[i - lag]) * x[i - lag] - 1) / 2;
    }
    CAPTURE(lag);
    CHECK(std::abs(sum) < 4.5 * std::sqrt(static_cast<double>(x.size())));
    CHECK(std::abs(squares) < 4.5 * std::sqrt(static_cast<double>(x.size())));
  }
}

TEST_CASE("fill_normal repeats, goes on without overlap, and matches Box-Muller in double") {
  Random a(6, "fill"), b(6, "fill");
  std::vector<float> x(300), y(300), z(300);
  a.fill_normal(x.data(), x.size());
  b.fill_normal(y.data(), y.size());
  CHECK(x == y);
  a.fill_normal(z.data(), z.size());
  CHECK(x != z);
  std::set<float> all(x.begin(), x.end());
  all.insert(z.begin(), z.end());
  CHECK(all.size() > 590);
  CHECK(a.bits() != b.bits());  // a is further on
  b.fill_normal(y.data(), 0);

  // The first batch is made of blocks 0..31: radius from words 0 and 2, angle from 1 and 3.
  Random blocks(6, "fill");
  for (int i = 0; i < 32; ++i) {
    for (int pair = 0; pair < 2; ++pair) {
      const double u = (blocks.bits() + 1.0) / 4294967296.0, turn = blocks.bits() / 4294967296.0;
      const double radius = std::sqrt(-2 * std::log(u));
      CHECK(x[64 * pair + i] == doctest::Approx(radius * std::cos(2 * M_PI * turn)).epsilon(2e-6));
      CHECK(x[64 * pair + 32 + i] == doctest::Approx(radius * std::sin(2 * M_PI * turn)).epsilon(2e-6));
    }
  }
}

TEST_CASE("fill_normal is fast") {
  Random random(7, "speed");
  std::vector<float> x(1 << 16);
  double best = 0;
  for (int repeat = 0; repeat < 20; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 4; ++i) random.fill_normal(x.data(), x.size());
    best =
        std::max(best, 4 * static_cast<double>(x.size()) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  MESSAGE("fill_normal: " << best / 1e6 << " M/s");
#ifdef NDEBUG
  CHECK(best > 30e6);
#endif
}

TEST_CASE("permutations are permutations, all equally likely") {
  Random random(10, "permutation");
  std::map<std::vector<int64_t>, int> counts;
  for (int i = 0; i < 24000; ++i) ++counts[random.permutation(4)];
  CHECK(counts.size() == 24);
  for (const auto& [order, n] : counts) CHECK(std::abs(n - 1000) < 5 * 31);
  auto large = random.permutation(1000);
  std::sort(large.begin(), large.end());
  for (int64_t i = 0; i < 1000; ++i) REQUIRE(large[i] == i);
  CHECK(random.permutation(0).empty());
}
