// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/image.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

/// One picture to judge and its reference.
struct Sample {
  std::string name;
  Image sr, ref;
};

struct EvaluateOptions {
  std::vector<std::string> metrics = {"psnry", "ssim", "lpips"};
  MetricOptions metric;  ///< protocol, crop border, device
  int threads = 0;       ///< pictures in parallel; 0: all cores
  BootstrapOptions bootstrap;
  std::string progress;  ///< label of a progress bar; "": none
};

struct Evaluation {
  std::vector<std::string> metrics;
  std::vector<std::string> names;           ///< of the pictures, in the order given
  std::vector<std::vector<double>> values;  ///< values[picture][metric]
  std::vector<Interval> summary;            ///< by metric

  /// The values of one metric over the pictures; usage_error if it was not evaluated.
  std::vector<double> column(const std::string& metric) const;
};

/// The same numbers for any number of threads. `load(i)` is called from several threads. usage_error when there are no pictures.
Evaluation evaluate(int64_t count, const std::function<Sample(int64_t)>& load, const EvaluateOptions& options = {});
/// Reads the files as they are needed. A pair of different sizes is an input_error naming both files.
Evaluation evaluate(const std::vector<Pair>& pairs, const EvaluateOptions& options = {});
Evaluation evaluate(const std::vector<Sample>& samples, const EvaluateOptions& options = {});

/// One row a method, one column a metric with its interval, best in bold; the caption states the variants.
Table comparison_table(const std::vector<std::pair<std::string, Evaluation>>& methods, const EvaluateOptions& options);
/// One row a picture and a last row "mean".
Table per_image_table(const Evaluation& evaluation);

}  // namespace finpercep
