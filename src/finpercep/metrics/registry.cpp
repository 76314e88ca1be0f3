// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/image/tensor.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/metrics/psnr.h"
#include "finpercep/metrics/ssim.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

const std::vector<std::pair<std::string, Protocol>> protocols = {
    {"pyiqa", Protocol::pyiqa}, {"basicsr", Protocol::basicsr}, {"stablesr", Protocol::stablesr}};

Channels luma_of(Protocol protocol) { return protocol == Protocol::pyiqa ? Channels::yiq : Channels::ycbcr; }

PsnrOptions psnr_options(Channels channels, Protocol protocol, int crop_border) {
  PsnrOptions options{.channels = channels, .crop_border = crop_border};
  if (protocol == Protocol::basicsr) {
    options.added = 0;
    options.floor = 1e-10;
  }
  return options;
}

SsimOptions ssim_options(Channels channels, Protocol protocol, int crop_border, int threads) {
  const bool pyiqa_form = protocol != Protocol::basicsr;
  return {.channels = channels, .crop_border = crop_border, .rounded = pyiqa_form, .clamped = pyiqa_form, .threads = threads};
}

double lpips_of(const Lpips& lpips, const Image& sr, const Image& ref) {
  at::NoGradGuard no_grad;
  const at::Device device = lpips.shift.device();
  return lpips(to_tensor(sr).to(device), to_tensor(ref).to(device)).item<double>();
}

}  // namespace

Protocol parse_protocol(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [text, protocol] : protocols) {
    if (text == name) return protocol;
    known.push_back(text);
  }
  throw usage_error(fmt::format("protocol: expected one of {}, found '{}'", fmt::join(known, ", "), name));
}

const char* name_of(Protocol protocol) {
  for (const auto& [text, value] : protocols)
    if (value == protocol) return text.c_str();
  return "";
}

const std::vector<MetricInfo>& metric_list() {
  static const std::vector<MetricInfo> list = {
      {"psnr", true, "0..80 dB", true, false, "peak signal-to-noise ratio over RGB"},
      {"psnry", true, "0..80 dB", true, false, "peak signal-to-noise ratio of luma"},
      {"ssim", true, "-1..1", true, false, "structural similarity of luma (Wang et al. 2004)"},
      {"ssimc", true, "-1..1", true, false, "structural similarity, mean over R, G, B"},
      {"lpips", false, "0..~1", true, true, "LPIPS v0.1, AlexNet (Zhang et al. 2018)"},
      {"lpips-vgg", false, "0..~1", true, true, "LPIPS v0.1, VGG16 (Zhang et al. 2018)"},
  };
  return list;
}

const MetricInfo& find_metric(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& info : metric_list()) {
    if (info.name == name) return info;
    known.push_back(info.name);
  }
  const std::string likely = nearest(name, known);
  const std::string advice = likely.empty() ? "" : fmt::format(". did you mean '{}'?", likely);
  throw usage_error(fmt::format("metric: expected one of {}, found '{}'{}", fmt::join(known, ", "), name, advice));
}

std::string variant_text(const std::string& metric, Protocol protocol, int crop_border) {
  find_metric(metric);
  if (metric.starts_with("lpips")) return "RGB in [0,1], native size, no crop";
  const bool colour = metric == "psnr" || metric == "ssimc";
  const std::string channels = colour ? "RGB" : protocol == Protocol::pyiqa ? "Y of YIQ" : "Y of studio YCbCr";
  const bool basicsr = protocol == Protocol::basicsr;
  if (metric.starts_with("psnr"))
    return fmt::format("{}, not rounded, {}, crop {}", channels, basicsr ? "mse at least 1e-10" : "mse + 1e-8", crop_border);
  return fmt::format("{}, {}, 11x11 Gaussian 1.5, valid windows, crop {}", channels,
                     basicsr ? "not rounded, not clamped" : "rounded to 0..255, contrast factor clamped at 0", crop_border);
}

MetricSet::MetricSet(std::vector<std::string> names, MetricOptions options) : names_(std::move(names)), options_(std::move(options)) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    find_metric(names_[i]);
    if (std::find(names_.begin(), names_.begin() + i, names_[i]) != names_.begin() + i)
      throw usage_error(fmt::format("metric: '{}' is given twice. name it once", names_[i]));
    const auto open = [&](const char* net) {
      return std::make_shared<const Lpips>(Lpips::load(net, resolve_compute(options_.device, "fp32").device));
    };
    if (names_[i] == "lpips") alex_ = open("alex");
    if (names_[i] == "lpips-vgg") vgg_ = open("vgg");
  }
}

double MetricSet::compute_one(const std::string& name, const Image& sr, const Image& ref) const {
  const Protocol protocol = options_.protocol;
  const int crop = options_.crop_border;
  if (name == "psnr") return psnr(sr, ref, psnr_options(Channels::rgb, protocol, crop));
  if (name == "psnry") return psnr(sr, ref, psnr_options(luma_of(protocol), protocol, crop));
  if (name == "ssim") return ssim(sr, ref, ssim_options(luma_of(protocol), protocol, crop, options_.threads));
  if (name == "ssimc") return ssim(sr, ref, ssim_options(Channels::rgb, protocol, crop, options_.threads));
  return lpips_of(name == "lpips" ? *alex_ : *vgg_, sr, ref);
}

std::vector<double> MetricSet::compute(const Image& sr, const Image& ref) const {
  require_same_size(sr, ref, "metrics");
  std::vector<double> values;
  for (const auto& name : names_) values.push_back(compute_one(name, sr, ref));
  return values;
}

}  // namespace finpercep
