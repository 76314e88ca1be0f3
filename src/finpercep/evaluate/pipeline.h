// SPDX-License-Identifier: Apache-2.0
// Pictures through metrics and judge: reading and the metrics in plain C++ on workers, one picture a thread; nets on the calling thread,
// where torch has its own; values handed out in order.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/base/pixel_budget.h"
#include "finpercep/evaluate/columns.h"
#include "finpercep/image.h"
#include "finpercep/image/probe.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

struct PipelineOptions {
  std::vector<std::string> metrics = {};  ///< of the registry and of judged_columns
  MetricOptions metric{};                 ///< protocol, crop border, device; threads: within a picture where several are measured at a time
  const Judge* judge = nullptr;           ///< not null where a judged column is asked for
};

struct RunOptions {
  int threads = 0;     ///< workers; 0: all cores
  bool alone = false;  ///< pictures are loaded one after the other, each on all cores, ahead of the nets: for a load that
                       ///< itself uses all of them
  int64_t pixels_in_flight = usual_pixels_in_flight;  ///< bounds memory: more are decoded only when a single picture has more
};

/// A picture to measure and its reference; without one, an empty `ref`.
struct Sample {
  Image sr, ref;
};
/// Waits until so many more pixels fit. A load that decodes files calls it once, before.
using Reserve = std::function<void(int64_t pixels)>;
/// Sample `index`; called from several threads. What it throws as input_error is that picture's failure and names the file; only lack of
/// memory need not.
using LoadSample = std::function<Sample(int64_t index, const Reserve& reserve)>;

/// What the headers of a picture and its reference say.
struct SampleInfo {
  PictureInfo sr, ref;
};
/// Two files; `reference` empty: none. input_error for what is no picture and for pairs of different sizes.
Sample read_sample(const std::filesystem::path& picture, const std::filesystem::path& reference, const Reserve& reserve,
                   SampleInfo* info = nullptr);

struct Measured {
  std::vector<double> values;  ///< one a metric, NaN where it cannot be computed for this picture; none where there is no picture
  std::string failure;         ///< one line that names the picture or the file that could not be read, and what was not computed
};

/// The metrics ready to be computed, their nets opened once for any number of runs.
class Pipeline {
 public:
  /// usage_error for an unknown or repeated name or a metric of sets, model_error for absent weights.
  explicit Pipeline(PipelineOptions options);

  const PipelineOptions& options() const { return options_; }

  /// Measures sample i, called names[i] in messages, for each i in order; `take` returns false to stop early. The same numbers for any
  /// number of threads. Failures are those of single pictures: input_error and memory that is out. All else is thrown.
  void run(const std::vector<std::string>& names, const LoadSample& load, const RunOptions& options,
           const std::function<bool(Measured)>& take) const;

 private:
  struct Column {
    const JudgedColumn* judged;  // null: of the registry
    bool runs_net;
  };
  std::vector<double> in_order(const std::vector<double>& plain, const std::vector<double>& learned, const Verdict& verdict) const;

  PipelineOptions options_;
  std::vector<Column> columns_;  // of options_.metrics
  bool judges_;
  MetricSet learned_, plain_, plain_alone_;  // the last two differ in their threads within a picture
};

}  // namespace finpercep
