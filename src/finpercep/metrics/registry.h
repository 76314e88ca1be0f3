// SPDX-License-Identifier: Apache-2.0
// The list of metrics, and the protocols that say which variant of them a table means.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// Whose conventions PSNR and SSIM follow.
enum class Protocol {
  pyiqa,     ///< pyiqa's defaults: Y by YIQ
  basicsr,   ///< BasicSR: Y by studio YCbCr, never rounded, SSIM not clamped
  stablesr,  ///< pyiqa set to YCbCr, as StableSR, SeeSR and OSEDiff report: reproduces OSEDiff's published logs
};
/// "pyiqa", "basicsr", "stablesr"; usage_error naming them for another word.
Protocol parse_protocol(const std::string& name);
const char* name_of(Protocol protocol);

struct MetricInfo {
  std::string name;
  bool higher_is_better = true;
  std::string range;
  bool needs_reference = true;
  bool needs_weights = false;
  std::string definition;  ///< one line: what it is and from where
};

/// Every metric, in the order that help prints them.
const std::vector<MetricInfo>& metric_list();
/// usage_error naming the nearest metric for an unknown name.
const MetricInfo& find_metric(const std::string& name);
/// The stamp for files: what exactly `metric` means under `protocol`, e.g. "Y of YCbCr, not rounded, mse + 1e-8, crop 0".
std::string variant_text(const std::string& metric, Protocol protocol, int crop_border = 0);

struct MetricOptions {
  Protocol protocol = Protocol::stablesr;
  int crop_border = 0;          ///< for PSNR and SSIM only, as everywhere
  std::string device = "auto";  ///< for metrics with nets: cpu, cuda, cuda:1, auto
  int threads = 1;              ///< within one picture; 0: all cores
};

struct Lpips;

/// Metrics ready to be computed: names checked and weights opened once.
class MetricSet {
 public:
  /// usage_error for an unknown or repeated name, model_error for absent weights.
  MetricSet(std::vector<std::string> names, MetricOptions options = {});

  const std::vector<std::string>& names() const { return names_; }
  /// One value a name, in their order. input_error for pictures of different sizes. May be called from several threads.
  std::vector<double> compute(const Image& sr, const Image& ref) const;

 private:
  double compute_one(const std::string& name, const Image& sr, const Image& ref) const;

  std::vector<std::string> names_;
  MetricOptions options_;
  std::shared_ptr<const Lpips> alex_, vgg_;
};

}  // namespace finpercep
