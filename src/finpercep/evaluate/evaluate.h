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
  Image sr, ref;
};

struct EvaluateOptions {
  std::vector<std::string> metrics = {"psnry", "ssim", "lpips"};
  MetricOptions metric{};  ///< protocol, crop border, device
  int threads = 0;         ///< pictures in parallel; 0: all cores
  BootstrapOptions bootstrap{};
  std::string progress{};  ///< label of a progress bar; "": none
};

struct Evaluation {
  std::vector<std::string> metrics;
  std::vector<std::string> names;           ///< of the pictures, in the order given
  std::vector<std::vector<double>> values;  ///< values[picture][metric]; NaN for a picture that failed
  std::vector<Interval> summary;            ///< by metric, over the pictures that did not fail
  std::vector<std::string> failures{};      ///< one line for each picture that could not be read or measured

  /// The values of one metric over the pictures; usage_error if it was not evaluated.
  std::vector<double> column(const std::string& metric) const;
};

/// The same numbers for any number of threads. `load(i)`, the picture of names[i], is called from several threads. An input_error of a
/// picture, pairs of different sizes among them, is a warning and a failure; where all fail it is thrown. usage_error when there are no
/// pictures.
Evaluation evaluate(const std::vector<std::string>& names, const std::function<Sample(int64_t)>& load, const EvaluateOptions& options = {});
/// Reads the files as they are needed.
Evaluation evaluate(const std::vector<Pair>& pairs, const EvaluateOptions& options = {});

/// One row a method, one column a metric with its interval, best in bold; the caption states the variants.
Table comparison_table(const std::vector<std::pair<std::string, Evaluation>>& methods, const EvaluateOptions& options);
/// One row a picture and a last row "mean".
Table per_image_table(const Evaluation& evaluation);

}  // namespace finpercep
