// SPDX-License-Identifier: Apache-2.0
// Pictures through metrics and judge: reading and the metrics in plain C++ on workers, one picture a thread; nets on the calling thread,
// where torch has its own; values handed out in order.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/columns.h"
#include "finpercep/image.h"
#include "finpercep/image/probe.h"
#include "finpercep/judge.h"
#include "finpercep/metrics/registry.h"

namespace finpercep {

struct PipelineOptions {
  std::vector<std::string> metrics = {};  ///< of the registry and of judged_columns
  MetricOptions metric{};                 ///< protocol, crop border, device
  const Judge* judge = nullptr;           ///< not null where a judged column is asked for
  int threads = 0;                        ///< workers; 0: all cores
  int64_t pixels_in_flight = 64'000'000;  ///< bounds memory: more are decoded only when a single picture has more
};

/// A picture to measure and its reference; without one, an empty `ref`.
struct Sample {
  Image sr, ref;
};
/// Waits until so many more pixels fit. A load that decodes files calls it once, before.
using Reserve = std::function<void(int64_t pixels)>;
/// Sample `index`; called from several threads. What it throws as input_error is that picture's failure.
using LoadSample = std::function<Sample(int64_t index, const Reserve& reserve)>;

/// What the headers of a picture and its reference say.
struct SampleInfo {
  PictureInfo sr, ref;
};
/// Two files; `reference` empty: none. input_error for what is no picture and for pairs of different sizes.
Sample read_sample(const std::filesystem::path& picture, const std::filesystem::path& reference, const Reserve& reserve,
                   SampleInfo* info = nullptr);

struct Measured {
  std::vector<double> values;  ///< one a metric; none where it failed
  std::string failure;         ///< one line that names the picture
};

/// Measures sample i, called names[i] in messages, for each i in order; `take` returns false to stop early. The same numbers for any number
/// of threads. Failures are those of single pictures: input_error and memory that is out. All else is thrown, model_error for absent
/// weights before the first picture.
void measure_pictures(const std::vector<std::string>& names, const LoadSample& load, const PipelineOptions& options,
                      const std::function<bool(Measured)>& take);

/// Before any work: usage_error for an unknown or repeated name, model_error for absent weights.
void check_metrics(const PipelineOptions& options);

}  // namespace finpercep
