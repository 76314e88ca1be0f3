// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "finpercep/base/error.h"
#include "finpercep/image/tensor.h"
#include "finpercep/metrics/brisque.h"
#include "finpercep/metrics/clipiqa.h"
#include "finpercep/metrics/dists.h"
#include "finpercep/metrics/gmsd.h"
#include "finpercep/metrics/liqe.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/metrics/maniqa.h"
#include "finpercep/metrics/musiq.h"
#include "finpercep/metrics/niqe.h"
#include "finpercep/metrics/psnr.h"
#include "finpercep/metrics/ssim.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

const std::vector<std::pair<std::string, Protocol>> protocols = {
    {"pyiqa", Protocol::pyiqa}, {"basicsr", Protocol::basicsr}, {"stablesr", Protocol::stablesr}};

Channels luma_of(Protocol protocol) { return protocol == Protocol::pyiqa ? Channels::yiq : Channels::ycbcr; }

PsnrOptions psnr_options(Channels channels, Protocol protocol, int crop_border, int threads) {
  PsnrOptions options{.channels = channels, .crop_border = crop_border, .threads = threads};
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

// A net on two pictures.
template <class Net>
std::function<double(const Image&, const Image&)> on_tensors(Net net, at::Device device) {
  return [net = std::move(net), device](const Image& sr, const Image& ref) {
    at::NoGradGuard no_grad;
    return net(to_tensor(sr).to(device), to_tensor(ref).to(device)).template item<double>();
  };
}

template <class Net>
std::function<double(const Image&, const Image&)> on_tensor(Net net, at::Device device) {
  return [net = std::move(net), device](const Image& sr, const Image&) {
    at::NoGradGuard no_grad;
    return net(to_tensor(sr).to(device)).template item<double>();
  };
}

std::function<double(const Image&, const Image&)> make_metric(const std::string& name, const MetricOptions& options) {
  const Protocol protocol = options.protocol;
  const int crop = options.crop_border, threads = options.threads;
  const bool basicsr = protocol == Protocol::basicsr, colour = name == "psnr" || name == "ssimc";
  const Channels channels = colour ? Channels::rgb : luma_of(protocol);
  if (name == "psnr" || name == "psnry")
    return [o = psnr_options(channels, protocol, crop, threads)](const Image& sr, const Image& ref) { return psnr(sr, ref, o); };
  if (name == "ssim" || name == "ssimc")
    return [o = ssim_options(channels, protocol, crop, threads)](const Image& sr, const Image& ref) { return ssim(sr, ref, o); };
  if (name == "ms_ssim")
    return [o = MsSsimOptions{channels, crop, threads}](const Image& sr, const Image& ref) { return ms_ssim(sr, ref, o); };
  if (name == "gmsd") return [o = GmsdOptions{.threads = threads}](const Image& sr, const Image& ref) { return gmsd(sr, ref, o); };
  if (name == "niqe") {
    NiqeOptions o{.threads = threads};
    if (basicsr) o = {.channels = Channels::ycbcr, .crop_border = crop, .float32_window = false, .threads = threads};
    return [o, niqe = Niqe::load()](const Image& sr, const Image&) { return niqe(sr, o); };
  }
  if (name == "brisque")
    return [o = BrisqueOptions{.threads = threads}, brisque = Brisque::load()](const Image& sr, const Image&) { return brisque(sr, o); };
  const at::Device device = resolve_compute(options.device, "fp32").device;
  if (name == "dists") return on_tensors(Dists::load(device), device);
  if (name.starts_with("clipiqa")) return on_tensor(ClipIqa::load(name == "clipiqa" ? "pairs" : "pair", device), device);
  if (name.starts_with("liqe")) return on_tensor(Liqe::load(name, device), device);
  if (name.starts_with("maniqa")) return on_tensor(Maniqa::load(name == "maniqa" ? "koniq" : name.substr(7), device), device);
  if (name.starts_with("musiq")) return on_tensor(Musiq::load(name == "musiq" ? "koniq" : name.substr(6), device), device);
  return on_tensors(Lpips::load(name == "lpips" ? "alex" : "vgg", device), device);
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
      {"psnr", true, "0..80 dB (basicsr 100)", true, false, "peak signal-to-noise ratio over RGB"},
      {"psnry", true, "0..80 dB (basicsr 100)", true, false, "peak signal-to-noise ratio of luma"},
      {"ssim", true, "-1..1", true, false, "structural similarity of luma (Wang et al. 2004)"},
      {"ssimc", true, "-1..1", true, false, "structural similarity, mean over R, G, B"},
      {"ms_ssim", true, "0..1", true, false, "multi-scale structural similarity of luma (Wang et al. 2003)"},
      {"gmsd", false, "0..~0.5", true, false, "gradient magnitude similarity deviation (Xue et al. 2014)"},
      {"lpips", false, "0..~1", true, true, "LPIPS v0.1, AlexNet (Zhang et al. 2018)", {"lpips_alex"}},
      {"lpips-vgg", false, "0..~1", true, true, "LPIPS v0.1, VGG16 (Zhang et al. 2018)", {"lpips_vgg"}},
      {"dists", false, "0..~1", true, true, "deep image structure and texture similarity (Ding et al. 2020)", {"dists", "lpips_vgg"}},
      {"niqe", false, "~0..~100", false, false, "natural image quality evaluator (Mittal et al. 2013)", {"niqe"}},
      {"brisque", false, "~0..~150", false, false, "blind spatial quality evaluator, SVM of LIVE (Mittal et al. 2012)", {"brisque"}},
      {"clipiqa", true, "0..1", false, true, "CLIP-IQA, RN50, five prompt pairs (Wang et al. 2023)", {"clipiqa"}},
      {"clipiqa-pair", true, "0..1", false, true, "CLIP-IQA, RN50, the paper's one prompt pair", {"clipiqa"}},
      {"musiq", true, "0..100", false, true, "multi-scale image quality transformer, KonIQ-10k (Ke et al. 2021)", {"musiq-koniq"}},
      {"musiq-ava", true, "1..10", false, true, "MUSIQ, AVA: aesthetics", {"musiq-ava"}},
      {"musiq-spaq", true, "0..100", false, true, "MUSIQ, SPAQ", {"musiq-spaq"}},
      {"musiq-paq2piq", true, "0..100", false, true, "MUSIQ, PaQ-2-PiQ", {"musiq-paq2piq"}},
      {"maniqa", true, "0..~1", false, true, "multi-dimension attention, ViT-B/8, KonIQ-10k (Yang et al. 2022)", {"maniqa-koniq"}},
      {"maniqa-pipal", true, "0..~1", false, true, "MANIQA, PIPAL: what SR papers print", {"maniqa-pipal"}},
      {"maniqa-kadid", true, "0..~1", false, true, "MANIQA, KADID-10k", {"maniqa-kadid"}},
      {"liqe", true, "1..5", false, true, "CLIP ViT-B/32 with quality words, KonIQ-10k (Zhang et al. 2023)", {"liqe"}},
      {"liqe_mix", true, "1..5", false, true, "LIQE with words of quality, scene and distortion, six data sets", {"liqe_mix"}},
      {"fid", false, "0..~500", true, true, "Frechet inception distance of two sets, clean-fid (Heusel et al. 2017)", {"fid"}, true},
  };
  return list;
}

const MetricInfo& find_metric(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& info : metric_list()) {
    if (info.name == name) return info;
    known.push_back(info.name);
  }
  known.emplace_back("finpercep");  // which `score` and `eval` know beside these
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string likely = lower == "lpips-alex" ? "lpips" : nearest(lower, known);
  const std::string advice = likely.empty() ? "" : fmt::format(". did you mean '{}'?", likely);
  throw usage_error(fmt::format("metric: expected one of {}, found '{}'{}", fmt::join(known, ", "), name, advice));
}

std::string variant_text(const std::string& metric, Protocol protocol, int crop_border) {
  const bool runs_net = find_metric(metric).runs_net;
  if (metric == "fid") return "PIL bicubic to 299 x 299 in float, Inception V3 of 2015-12-05, covariances over n - 1";
  if (metric.starts_with("liqe")) return "RGB in [0,1], up to 15 windows of 224 pixels, no crop";
  if (metric.starts_with("maniqa")) return "RGB in [0,1], 20 windows of 224 pixels, no crop";
  if (metric.starts_with("musiq")) return "RGB in [0,1], native size and long sides of 224 and 384, no crop";
  if (runs_net) return "RGB in [0,1], native size, no crop";
  if (metric == "gmsd") return "Y of YIQ, rounded to 0..255, halved, no crop";
  if (metric == "brisque") return "Y of YIQ, rounded to 0..255, float32, zeros beyond the border, no crop";
  if (metric == "niqe")
    return protocol == Protocol::basicsr ? fmt::format("Y of studio YCbCr, rounded to 0..255, window in float64, crop {}", crop_border)
                                         : "Y of YIQ, rounded to 0..255, window in float32, no crop";
  const bool colour = metric == "psnr" || metric == "ssimc";
  const std::string channels = colour ? "RGB" : protocol == Protocol::pyiqa ? "Y of YIQ" : "Y of studio YCbCr";
  const bool basicsr = protocol == Protocol::basicsr;
  if (metric.starts_with("psnr"))
    return fmt::format("{}, not rounded, {}, crop {}", channels, basicsr ? "mse at least 1e-10" : "mse + 1e-8", crop_border);
  if (metric == "ms_ssim")
    return fmt::format(
        "{}, rounded to 0..255, 5 scales by 2x2 means, 11x11 Gaussian 1.5, valid windows, contrast factor clamped at 0, crop {}", channels,
        crop_border);
  return fmt::format("{}, {}, 11x11 Gaussian 1.5, valid windows, crop {}", channels,
                     basicsr ? "not rounded, not clamped" : "rounded to 0..255, contrast factor clamped at 0", crop_border);
}

MetricSet::MetricSet(std::vector<std::string> names, MetricOptions options) : names_(std::move(names)) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (find_metric(names_[i]).of_set)
      throw usage_error(fmt::format(
          "metric: expected one with a value a picture, found '{}', which is one number a set. use `finpercep score SR -r GT -m {}`",
          names_[i], names_[i]));
    if (std::find(names_.begin(), names_.begin() + i, names_[i]) != names_.begin() + i)
      throw usage_error(fmt::format("metric: '{}' is given twice. name it once", names_[i]));
  }
  for (const auto& name : names_) metrics_.push_back(make_metric(name, options));
}

std::vector<double> MetricSet::compute(const Image& sr, const Image& ref) const {
  require_same_size(sr, ref, "metrics");
  std::vector<double> values;
  for (const auto& metric : metrics_) values.push_back(metric(sr, ref));
  return values;
}

}  // namespace finpercep
