// SPDX-License-Identifier: Apache-2.0
// Agreement of two lists of numbers: Pearson's correlation (PLCC) and that of the ranks (SRCC, Spearman 1904), ties sharing their mean
// rank.
#pragma once
#include <vector>

#include "finpercep/evaluate/bootstrap.h"

namespace finpercep {

/// In [-1,1]; NaN where one list is constant or shorter than two. usage_error for lists of different lengths.
double pearson(const std::vector<double>& a, const std::vector<double>& b);
double spearman(const std::vector<double>& a, const std::vector<double>& b);
/// 1 for the smallest; equal values share the mean of their places.
std::vector<double> ranks(const std::vector<double>& values);

using Correlation = double (*)(const std::vector<double>&, const std::vector<double>&);
/// With its interval over the pairs, or over groups of them (bootstrap_statistic).
Interval bootstrap_correlation(Correlation correlation, const std::vector<double>& a, const std::vector<double>& b,
                               const BootstrapOptions& options = {}, const std::vector<std::string>& groups = {});

}  // namespace finpercep
