// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/bootstrap.h"
#include "finpercep/evaluate/pairs.h"
#include "finpercep/evaluate/table.h"
#include "finpercep/image.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

/// One picture to judge and its reference.
struct Sample {
  Image sr, ref;
};

/// Beside the names of the registry, these two of the judge: its score, and the mean of its map over the worst pixels of a picture.
inline constexpr const char *score_metric = "finpercep.score", *severity_metric = "finpercep.severity";
bool is_judged(const std::string& metric);

struct EvaluateOptions {
  std::vector<std::string> metrics = {"psnry", "ssim", "lpips"};
  MetricOptions metric{};        ///< protocol, crop border, device
  const Judge* judge = nullptr;  ///< of the two judged metrics: not null where they are asked for
  int threads = 0;               ///< pictures in parallel; 0: all cores
  BootstrapOptions bootstrap{};
  std::string progress{};  ///< label of a progress bar; "": none
};

/// Before any work: usage_error for an unknown or repeated name, model_error for absent weights.
void check_metrics(const EvaluateOptions& options);

struct Evaluation {
  std::vector<std::string> metrics;
  std::vector<std::string> names;           ///< of the pictures, in the order given
  std::vector<std::vector<double>> values;  ///< values[picture][metric]; NaN for a picture that failed
  std::vector<std::string> failures{};      ///< one line for each picture that could not be read or measured

  /// The values of one metric over the pictures; usage_error if it was not evaluated.
  std::vector<double> column(const std::string& metric) const;
  /// False for a picture without a single value.
  bool measured(std::size_t picture) const;
};

/// The same numbers for any number of threads. `load(i)`, the picture of names[i], is called from several threads. An input_error of a
/// picture, pairs of different sizes among them, is a warning and a failure. usage_error when there are no pictures.
Evaluation evaluate(const std::vector<std::string>& names, const std::function<Sample(int64_t)>& load, const EvaluateOptions& options = {});
/// Reads the files as they are needed.
Evaluation evaluate(const std::vector<Pair>& pairs, const EvaluateOptions& options = {});

/// What each metric is, in one line.
std::string variants_text(const EvaluateOptions& options);

/// Methods by name, each measured on the same pictures.
using Methods = std::vector<std::pair<std::string, Evaluation>>;
/// One row a method, one column a metric with its interval, best in bold; the caption states the variants.
Table comparison_table(const Methods& methods, const EvaluateOptions& options);
/// One row for each method but `baseline`: its mean less the baseline's over the pictures that both have, in percent of the baseline's mean
/// (absolute for PSNR, S and severity), with the bootstrap interval over pictures and Wilcoxon's p. No rows where the baseline is not
/// there.
Table difference_table(const Methods& methods, const std::string& baseline, const EvaluateOptions& options);
/// Direction, decimals and title of a column of either; the judged metrics are titled S and severity.
Column comparison_column(const std::string& metric);
/// One row a picture; the caption states version and variants.
Table per_image_table(const Evaluation& evaluation, const EvaluateOptions& options);

}  // namespace finpercep
