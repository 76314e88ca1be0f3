// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/wilcoxon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr std::size_t exact_up_to = 50;

// Share of the 2^n assignments of signs whose sum of positive ranks is at most `sum`. Ranks and sum are doubled, so that mean ranks of ties
// are whole numbers.
double lower_tail(const std::vector<int64_t>& ranks, int64_t sum) {
  std::vector<double> share(static_cast<std::size_t>(sum) + 1, 0.0);
  share[0] = 1;
  for (const int64_t rank : ranks)
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
  std::ranges::sort(differences, {}, [](double d) { return std::abs(d); });

  std::vector<int64_t> doubled;
  int64_t positive = 0;
  double ties = 0;  // sum of t^3 - t over groups of t equal ones
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    while (end < n && std::abs(differences[end]) == std::abs(differences[begin])) ++end;
    const auto rank = static_cast<int64_t>(begin + 1 + end);
    const auto size = static_cast<double>(end - begin);
    ties += size * size * size - size;
    for (std::size_t i = begin; i < end; ++i) {
      doubled.push_back(rank);
      if (differences[i] > 0) positive += rank;
    }
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
