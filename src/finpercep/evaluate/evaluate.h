// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/pipeline.h"
#include "finpercep/evaluate/table.h"

namespace finpercep {

/// What is measured, and the intervals of its means.
struct EvaluateOptions {
  PipelineOptions measure{.metrics = {"psnry", "ssim", "lpips"}};
  BootstrapOptions bootstrap{};
};

struct Evaluation {
  std::vector<std::string> metrics;
  std::vector<std::string> names;           ///< of the pictures, in the order given
  std::vector<std::vector<double>> values;  ///< values[picture][metric]; NaN where a picture failed, or the metric for it
  std::vector<std::string> failures{};      ///< one line for each such picture

  /// The values of one metric over the pictures; usage_error if it was not evaluated.
  std::vector<double> column(const std::string& metric) const;
  /// False for a picture without a single value.
  bool measured(std::size_t picture) const;
};

/// A run of the pipeline with a progress bar of that label ("": none); a failure is a warning too. usage_error when there are no pictures.
Evaluation evaluate(const Pipeline& pipeline, const std::vector<std::string>& names, const LoadSample& load, const RunOptions& run = {},
                    const std::string& progress = "");
/// Reads the files as they are needed; a pair without a second file has no reference.
Evaluation evaluate(const Pipeline& pipeline, const std::vector<Pair>& pairs, const RunOptions& run = {}, const std::string& progress = "");

/// What each metric is, in one line.
std::string variants_text(const EvaluateOptions& options);

/// What was measured of each method, by name, on the same pictures.
using MethodResults = std::vector<std::pair<std::string, Evaluation>>;
/// One row a method, one column a metric with its interval, best in bold; the caption states the variants.
Table comparison_table(const MethodResults& methods, const EvaluateOptions& options);
/// One row for each method but `baseline`: its mean less the baseline's over the pictures that both have, in percent of the baseline's mean
/// (absolute for PSNR, S and severity), with the bootstrap interval over pictures and Wilcoxon's p. No rows where the baseline is not
/// there.
Table difference_table(const MethodResults& methods, const std::string& baseline, const EvaluateOptions& options);
/// Direction, decimals and title of a column of either; the judged metrics are titled S and severity.
Column comparison_column(const std::string& metric);
/// One row a picture; the caption states version and variants.
Table per_image_table(const Evaluation& evaluation, const EvaluateOptions& options);

}  // namespace finpercep
