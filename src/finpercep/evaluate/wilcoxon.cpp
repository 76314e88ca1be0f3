// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/wilcoxon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "finpercep/base/error.h"
#include "finpercep/evaluate/correlation.h"

namespace finpercep {

namespace {

constexpr std::size_t exact_up_to = 50;

// Share of the 2^n assignments of signs whose sum of positive ranks is at most `sum`. Ranks and sum are doubled, so that mean ranks of ties
// are whole numbers; every share is a multiple of 2^-n, which a double holds exactly, so the order of the ranks is of no account.
double lower_tail(const std::vector<int64_t>& doubled_ranks, int64_t sum) {
  std::vector<double> share(static_cast<std::size_t>(sum) + 1, 0.0);
  share[0] = 1;
  for (const int64_t rank : doubled_ranks)
    for (int64_t s = sum; s >= 0; --s) share[s] = 0.5 * (share[s] + (s >= rank ? share[s - rank] : 0.0));
  double tail = 0;
  for (const double s : share) tail += s;
  return tail;
}

}  // namespace

SignedRank wilcoxon_signed_rank(const std::vector<double>& first, const std::vector<double>& second) {
  if (first.size() != second.size())
    throw usage_error(fmt::format("wilcoxon: expected two lists of equal length, found {} and {}. a paired test needs the same images",
                                  first.size(), second.size()));
  std::vector<double> differences;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (const double d = first[i] - second[i]; std::isfinite(d) && d != 0) differences.push_back(d);
  const std::size_t n = differences.size();
  if (n == 0) return {};

  std::vector<double> magnitudes;
  for (const double d : differences) magnitudes.push_back(std::abs(d));
  const std::vector<double> mean_ranks = ranks(magnitudes);
  std::vector<int64_t> doubled;
  std::map<int64_t, int64_t> tied;  // by rank: how many share it
  int64_t positive = 0;
  for (std::size_t i = 0; i < n; ++i) {
    doubled.push_back(std::llround(2 * mean_ranks[i]));
    if (differences[i] > 0) positive += doubled[i];
    ++tied[doubled[i]];
  }
  double ties = 0;  // sum of t^3 - t over groups of t equal ones
  for (const auto& [rank, size] : tied) {
    const auto t = static_cast<double>(size);
    ties += t * t * t - t;
  }
  const auto count = static_cast<double>(n);
  const int64_t total = static_cast<int64_t>(n * (n + 1)), smaller = std::min(positive, total - positive);
  SignedRank out{.statistic = static_cast<double>(smaller) / 2, .p = 1, .count = static_cast<int64_t>(n)};
  if (n <= exact_up_to) {
    out.p = std::min(1.0, 2 * lower_tail(doubled, smaller));
  } else {
    const double deviation = std::sqrt(count * (count + 1) * (2 * count + 1) / 24 - ties / 48);
    const double z = std::min(0.0, out.statistic - count * (count + 1) / 4 + 0.5) / deviation;
    out.p = std::erfc(-z / std::sqrt(2.0));
  }
  return out;
}

}  // namespace finpercep
