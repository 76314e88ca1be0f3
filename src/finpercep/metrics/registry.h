// SPDX-License-Identifier: Apache-2.0
// The list of metrics, and the protocols that say which variant of them a table means.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// Whose conventions the metrics without nets follow.
enum class Protocol {
  pyiqa,     ///< pyiqa's defaults: Y by YIQ
  basicsr,   ///< BasicSR: Y by studio YCbCr, not rounded, SSIM not clamped; NIQE with the same Y and an exact window
  stablesr,  ///< pyiqa with PSNR and SSIM set to YCbCr, as StableSR, SeeSR and OSEDiff report: reproduces OSEDiff's published logs
};
/// "pyiqa", "basicsr", "stablesr"; usage_error naming them for another word.
Protocol parse_protocol(const std::string& name);
const char* name_of(Protocol protocol);

struct MetricOptions {
  Protocol protocol = Protocol::stablesr;
  int crop_border = 0;          ///< for PSNR, SSIM, MS-SSIM and BasicSR's NIQE only, as everywhere
  std::string device = "auto";  ///< for metrics with nets: cpu, cuda, cuda:1, auto
  int threads = 1;              ///< within one picture; 0: all cores
};

/// Of a picture and its reference. May be called from several threads.
using MetricFunction = std::function<double(const Image& sr, const Image& ref)>;

struct MetricInfo {
  std::string name;
  std::string definition;  ///< one line: what it is and from where
  std::string range;
  bool higher_is_better = true;
  bool needs_reference = true;
  bool runs_net = false;                  ///< on `device`; torch has threads of its own, so compute these one picture at a time
  bool of_set = false;                    ///< one number for a set of pictures, see evaluate/set_score.h; not for a MetricSet
  std::vector<std::string> weights = {};  ///< names of the weight files it loads
  MetricFunction (*make)(const MetricOptions& options) = nullptr;        ///< model_error for absent weights; none for a metric of sets
  std::string (*variant)(Protocol protocol, int crop_border) = nullptr;  ///< what variant_text() says
};

/// Every metric, in the order that help prints them.
const std::vector<MetricInfo>& metric_list();
/// usage_error naming the nearest metric for an unknown name.
const MetricInfo& find_metric(const std::string& name);
/// The stamp for files: what exactly `metric` means under `protocol`, e.g. "Y of YCbCr, not rounded, mse + 1e-8, crop 0".
std::string variant_text(const std::string& metric, Protocol protocol, int crop_border = 0);

/// usage_error where names[i] stands before i as well.
void refuse_twice(const std::vector<std::string>& names, std::size_t i);

/// Metrics ready to be computed: names checked and weights opened once.
class MetricSet {
 public:
  /// usage_error for an unknown or repeated name or a metric of sets, model_error for absent weights.
  MetricSet(std::vector<std::string> names, MetricOptions options = {});

  const std::vector<std::string>& names() const { return names_; }
  /// One value a name, in their order. Metrics without a reference look at `sr` only: give it twice where there is none.
  /// input_error for pictures of different sizes. May be called from several threads.
  std::vector<double> compute(const Image& sr, const Image& ref) const;
  /// names()[i] alone.
  double compute(std::size_t i, const Image& sr, const Image& ref) const { return metrics_.at(i)(sr, ref); }

 private:
  std::vector<std::string> names_;
  std::vector<MetricFunction> metrics_;
};

}  // namespace finpercep
