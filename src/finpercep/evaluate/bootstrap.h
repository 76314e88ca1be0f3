// SPDX-License-Identifier: Apache-2.0
// Percentile bootstrap (Efron 1979) over images: how far the mean of a test set would move on another draw of images.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace finpercep {

/// A mean with its 95 % interval; both its ends are NaN where what was measured tells none.
struct Interval {
  double mean = 0, low = 0, high = 0;
};

/// Of every interval: "95 %" in captions, titles and help.
inline constexpr double interval_confidence = 0.95;

struct BootstrapOptions {
  int resamples = 10'000;
  uint64_t seed = 0;  ///< the same seed gives the same interval on every machine
};

double mean_of(const std::vector<double>& values);
/// Standard deviation, unbiased (n - 1): NaN for a single value.
double deviation_of(const std::vector<double>& values);

/// Of few values of one distribution, as trainings from several seeds: their mean with Student's 95 % interval, mean +- t s / sqrt n;
/// without width for a single value.
Interval student_mean(const std::vector<double>& values);

/// usage_error for no values or fewer than one resample. A single value, or group, tells no interval; where a value is not finite, neither
/// is the mean. `groups` as in bootstrap_statistic.
Interval bootstrap_mean(const std::vector<double>& values, const BootstrapOptions& options = {},
                        const std::vector<std::string>& groups = {});
/// Of first[i] - second[i], resampling pairs: the interval excludes 0 when the methods differ on these images.
Interval bootstrap_difference(const std::vector<double>& first, const std::vector<double>& second, const BootstrapOptions& options = {});

/// The same of any statistic of `count` items, given which of them a resample holds; `mean` is its value on all of them. Resamples for
/// which it is not finite are left out; where it is not finite on all items, so is the interval. `groups`: of each item, say the photograph
/// that a sample is cut from; those of a group are not independent and are drawn together. Empty: every item is its own.
Interval bootstrap_statistic(int64_t count, const std::function<double(const std::vector<int64_t>&)>& statistic,
                             const BootstrapOptions& options = {}, const std::vector<std::string>& groups = {});

}  // namespace finpercep
