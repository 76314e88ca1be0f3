// SPDX-License-Identifier: Apache-2.0
// The table of metrics: all that is known of each stands in its row, what computes it as well.
#include <fmt/format.h>

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
#include "finpercep/metrics/registry.h"
#include "finpercep/metrics/ssim.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

Channels luma_of(Protocol protocol) { return protocol == Protocol::pyiqa ? Channels::yiq : Channels::ycbcr; }

const char* text_of(Channels channels) {
  return channels == Channels::rgb ? "RGB" : channels == Channels::yiq ? "Y of YIQ" : "Y of studio YCbCr";
}

MetricFunction make_psnr(Channels channels, const MetricOptions& options) {
  PsnrOptions o{.channels = channels, .crop_border = options.crop_border, .threads = options.threads};
  if (options.protocol == Protocol::basicsr) {
    o.added = 0;
    o.floor = 1e-10;
  }
  return [o](const Image& sr, const Image& ref) { return psnr(sr, ref, o); };
}
std::string psnr_variant(Channels channels, Protocol protocol, int crop) {
  return fmt::format("{}, not rounded, {}, crop {}", text_of(channels), protocol == Protocol::basicsr ? "mse at least 1e-10" : "mse + 1e-8",
                     crop);
}

MetricFunction make_ssim(Channels channels, const MetricOptions& options) {
  const bool pyiqa_form = options.protocol != Protocol::basicsr;
  const SsimOptions o{
      .channels = channels, .crop_border = options.crop_border, .rounded = pyiqa_form, .clamped = pyiqa_form, .threads = options.threads};
  return [o](const Image& sr, const Image& ref) { return ssim(sr, ref, o); };
}
std::string ssim_variant(Channels channels, Protocol protocol, int crop) {
  return fmt::format("{}, {}, 11x11 Gaussian 1.5, valid windows, crop {}", text_of(channels),
                     protocol == Protocol::basicsr ? "not rounded, not clamped" : "rounded to 0..255, contrast factor clamped at 0", crop);
}

MetricFunction make_ms_ssim(const MetricOptions& options) {
  const MsSsimOptions o{.channels = luma_of(options.protocol), .crop_border = options.crop_border, .threads = options.threads};
  return [o](const Image& sr, const Image& ref) { return ms_ssim(sr, ref, o); };
}
std::string ms_ssim_variant(Protocol protocol, int crop) {
  return fmt::format(
      "{}, rounded to 0..255, 5 scales by 2x2 means, 11x11 Gaussian 1.5, valid windows, contrast factor clamped at 0, crop {}",
      text_of(luma_of(protocol)), crop);
}

MetricFunction make_gmsd(const MetricOptions& options) {
  return [threads = options.threads](const Image& sr, const Image& ref) { return gmsd(sr, ref, threads); };
}
std::string gmsd_variant(Protocol, int) { return "Y of YIQ, rounded to 0..255, halved, no crop"; }

MetricFunction make_niqe(const MetricOptions& options) {
  NiqeOptions o{.threads = options.threads};
  if (options.protocol == Protocol::basicsr)
    o = {.channels = Channels::ycbcr, .crop_border = options.crop_border, .float32_window = false, .threads = options.threads};
  return [o, niqe = Niqe::load()](const Image& sr, const Image&) { return niqe(sr, o); };
}
std::string niqe_variant(Protocol protocol, int crop) {
  if (protocol != Protocol::basicsr) return "Y of YIQ, rounded to 0..255, window in float32, no crop";
  return fmt::format("Y of studio YCbCr, rounded to 0..255, window in float64, crop {}", crop);
}

MetricFunction make_brisque(const MetricOptions& options) {
  return [threads = options.threads, brisque = Brisque::load()](const Image& sr, const Image&) { return brisque(sr, threads); };
}
std::string brisque_variant(Protocol, int) { return "Y of YIQ, rounded to 0..255, float32, zeros beyond the border, no crop"; }

// A net on the picture and its reference, and one on the picture alone. `form`: which of the net's weights, where there are several.
template <class Net, class... Form>
MetricFunction make_net_of_two(const MetricOptions& options, const Form&... form) {
  const at::Device device = resolve_compute(options.device, "fp32").device;
  return [net = Net::load(form..., device), device](const Image& sr, const Image& ref) {
    at::NoGradGuard no_grad;
    return net(to_tensor(sr).to(device), to_tensor(ref).to(device)).template item<double>();
  };
}
template <class Net>
MetricFunction make_net_of_one(const MetricOptions& options, const char* form) {
  const at::Device device = resolve_compute(options.device, "fp32").device;
  return [net = Net::load(form, device), device](const Image& sr, const Image&) {
    at::NoGradGuard no_grad;
    return net(to_tensor(sr).to(device)).template item<double>();
  };
}
std::string native_variant(Protocol, int) { return "RGB in [0,1], native size, no crop"; }
std::string musiq_variant(Protocol, int) { return "RGB in [0,1], native size and long sides of 224 and 384, no crop"; }
std::string maniqa_variant(Protocol, int) { return "RGB in [0,1], 20 windows of 224 pixels, no crop"; }
std::string liqe_variant(Protocol, int) { return "RGB in [0,1], up to 15 windows of 224 pixels, no crop"; }
std::string fid_variant(Protocol, int) { return "PIL bicubic to 299 x 299 in float, Inception V3 of 2015-12-05, covariances over n - 1"; }

}  // namespace

const std::vector<MetricInfo>& metric_list() {
  static const std::vector<MetricInfo> list = {
      {.name = "psnr",
       .definition = "peak signal-to-noise ratio over RGB",
       .range = "0..80 dB (basicsr 100)",
       .higher_is_better = true,
       .make = [](const MetricOptions& o) { return make_psnr(Channels::rgb, o); },
       .variant = [](Protocol p, int crop) { return psnr_variant(Channels::rgb, p, crop); }},
      {.name = "psnry",
       .definition = "peak signal-to-noise ratio of luma",
       .range = "0..80 dB (basicsr 100)",
       .higher_is_better = true,
       .make = [](const MetricOptions& o) { return make_psnr(luma_of(o.protocol), o); },
       .variant = [](Protocol p, int crop) { return psnr_variant(luma_of(p), p, crop); }},
      {.name = "ssim",
       .definition = "structural similarity of luma (Wang et al. 2004)",
       .range = "-1..1",
       .higher_is_better = true,
       .make = [](const MetricOptions& o) { return make_ssim(luma_of(o.protocol), o); },
       .variant = [](Protocol p, int crop) { return ssim_variant(luma_of(p), p, crop); }},
      {.name = "ssimc",
       .definition = "structural similarity, mean over R, G, B",
       .range = "-1..1",
       .higher_is_better = true,
       .make = [](const MetricOptions& o) { return make_ssim(Channels::rgb, o); },
       .variant = [](Protocol p, int crop) { return ssim_variant(Channels::rgb, p, crop); }},
      {.name = "ms_ssim",
       .definition = "multi-scale structural similarity of luma (Wang et al. 2003)",
       .range = "0..1",
       .higher_is_better = true,
       .make = make_ms_ssim,
       .variant = ms_ssim_variant},
      {.name = "gmsd",
       .definition = "gradient magnitude similarity deviation (Xue et al. 2014)",
       .range = "0..~0.5",
       .higher_is_better = false,
       .make = make_gmsd,
       .variant = gmsd_variant},
      {.name = "lpips",
       .definition = "LPIPS v0.1, AlexNet (Zhang et al. 2018)",
       .range = "0..~1",
       .higher_is_better = false,
       .runs_net = true,
       .weights = {"lpips_alex"},
       .make = [](const MetricOptions& o) { return make_net_of_two<Lpips>(o, "alex"); },
       .variant = native_variant},
      {.name = "lpips-vgg",
       .definition = "LPIPS v0.1, VGG16 (Zhang et al. 2018)",
       .range = "0..~1",
       .higher_is_better = false,
       .runs_net = true,
       .weights = {"lpips_vgg"},
       .make = [](const MetricOptions& o) { return make_net_of_two<Lpips>(o, "vgg"); },
       .variant = native_variant},
      {.name = "dists",
       .definition = "deep image structure and texture similarity (Ding et al. 2020)",
       .range = "0..~1",
       .higher_is_better = false,
       .runs_net = true,
       .weights = {"dists", "lpips_vgg"},
       .make = [](const MetricOptions& o) { return make_net_of_two<Dists>(o); },
       .variant = native_variant},
      {.name = "niqe",
       .definition = "natural image quality evaluator (Mittal et al. 2013)",
       .range = "~0..~100",
       .higher_is_better = false,
       .needs_reference = false,
       .weights = {"niqe"},
       .make = make_niqe,
       .variant = niqe_variant},
      {.name = "brisque",
       .definition = "blind spatial quality evaluator, SVM of LIVE (Mittal et al. 2012)",
       .range = "~0..~150",
       .higher_is_better = false,
       .needs_reference = false,
       .weights = {"brisque"},
       .make = make_brisque,
       .variant = brisque_variant},
      {.name = "clipiqa",
       .definition = "CLIP-IQA, RN50, five prompt pairs (Wang et al. 2023)",
       .range = "0..1",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"clipiqa"},
       .make = [](const MetricOptions& o) { return make_net_of_one<ClipIqa>(o, "pairs"); },
       .variant = native_variant},
      {.name = "clipiqa-pair",
       .definition = "CLIP-IQA, RN50, the paper's one prompt pair",
       .range = "0..1",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"clipiqa"},
       .make = [](const MetricOptions& o) { return make_net_of_one<ClipIqa>(o, "pair"); },
       .variant = native_variant},
      {.name = "musiq",
       .definition = "multi-scale image quality transformer, KonIQ-10k (Ke et al. 2021)",
       .range = "0..100",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"musiq-koniq"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Musiq>(o, "koniq"); },
       .variant = musiq_variant},
      {.name = "musiq-ava",
       .definition = "MUSIQ, AVA: aesthetics",
       .range = "1..10",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"musiq-ava"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Musiq>(o, "ava"); },
       .variant = musiq_variant},
      {.name = "musiq-spaq",
       .definition = "MUSIQ, SPAQ",
       .range = "0..100",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"musiq-spaq"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Musiq>(o, "spaq"); },
       .variant = musiq_variant},
      {.name = "musiq-paq2piq",
       .definition = "MUSIQ, PaQ-2-PiQ",
       .range = "0..100",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"musiq-paq2piq"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Musiq>(o, "paq2piq"); },
       .variant = musiq_variant},
      {.name = "maniqa",
       .definition = "multi-dimension attention, ViT-B/8, KonIQ-10k (Yang et al. 2022)",
       .range = "0..~1",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"maniqa-koniq"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Maniqa>(o, "koniq"); },
       .variant = maniqa_variant},
      {.name = "maniqa-pipal",
       .definition = "MANIQA, PIPAL: what SR papers print",
       .range = "0..~1",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"maniqa-pipal"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Maniqa>(o, "pipal"); },
       .variant = maniqa_variant},
      {.name = "maniqa-kadid",
       .definition = "MANIQA, KADID-10k",
       .range = "0..~1",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"maniqa-kadid"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Maniqa>(o, "kadid"); },
       .variant = maniqa_variant},
      {.name = "liqe",
       .definition = "CLIP ViT-B/32 with quality words, KonIQ-10k (Zhang et al. 2023)",
       .range = "1..5",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"liqe"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Liqe>(o, "liqe"); },
       .variant = liqe_variant},
      {.name = "liqe_mix",
       .definition = "LIQE with words of quality, scene and distortion, six data sets",
       .range = "1..5",
       .higher_is_better = true,
       .needs_reference = false,
       .runs_net = true,
       .weights = {"liqe_mix"},
       .make = [](const MetricOptions& o) { return make_net_of_one<Liqe>(o, "liqe_mix"); },
       .variant = liqe_variant},
      {.name = "fid",
       .definition = "Frechet inception distance of two sets, clean-fid (Heusel et al. 2017)",
       .range = "0..~500",
       .higher_is_better = false,
       .runs_net = true,
       .of_set = true,
       .weights = {"fid"},
       .variant = fid_variant},
  };
  return list;
}

}  // namespace finpercep
