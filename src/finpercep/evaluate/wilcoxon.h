// SPDX-License-Identifier: Apache-2.0
// Wilcoxon's signed-rank test (Wilcoxon 1945): do two methods differ on the same pictures, whatever the distribution of the differences?
#pragma once
#include <cstdint>
#include <vector>

namespace finpercep {

struct SignedRank {
  double statistic = 0;  ///< the smaller of the sums of ranks of positive and of negative differences
  double p = 1;          ///< two-sided
  int64_t count = 0;     ///< differences that are not 0: the others take no part (Wilcoxon's own treatment)
};

/// Of first[i] - second[i]; ties have their mean rank. p is exact given the ranks for up to 50 differences, beyond that by the normal
/// distribution with corrections for ties and continuity. A pair that is not finite takes no part; without any difference p is 1.
/// usage_error for lists of different length.
SignedRank wilcoxon_signed_rank(const std::vector<double>& first, const std::vector<double>& second);

}  // namespace finpercep
