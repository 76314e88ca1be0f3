// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/pipeline.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/base/error.h"
#include "finpercep/degrade/plan.h"

namespace finpercep {
namespace {

template <class List>
[[noreturn]] void refuse(const char* round, const char* key, const char* expected, const List& found, const char* advice) {
  throw usage_error(fmt::format("degradation: {}.{}: expected {}, found [{}]. {}", round, key, expected, fmt::join(found, ", "), advice));
}

void check_shares(const char* round, const char* key, const std::vector<double>& shares, std::size_t count, const char* names) {
  if (shares.size() == count && std::ranges::any_of(shares, [](double share) { return share > 0; })) return;
  const std::string expected = fmt::format("{} numbers ({}), not all zero", count, names);
  refuse(round, key, expected.c_str(), shares, "give one share a kind");
}

void check_round(const char* name, const DegradeRound& round) {
  if (round.kernel_sizes.empty() || !std::ranges::all_of(round.kernel_sizes, [](int64_t size) { return size % 2 == 1; }))
    refuse(name, "kernel_sizes", "odd sizes", round.kernel_sizes, "list at least one");
  check_shares(name, "kernel_probs", round.kernel_probs, 6, "iso, aniso, generalized iso, generalized aniso, plateau iso, plateau aniso");
  check_shares(name, "resize_prob", round.resize_prob, 3, "up, down, keep");
  if (!(round.resize_range[0] <= 1 && round.resize_range[1] >= 1))
    refuse(name, "resize_range", "an interval around 1", round.resize_range, "down draws from [low, 1], up from [1, high]");
}

}  // namespace

void DegradeRound::visit(SettingsVisitor& v) {
  const Range probability = {.min = 0, .max = 1};
  v.field("enabled", enabled, "false: nothing of this round happens, its JPEG included");
  v.field("blur_prob", blur_prob, "share of images that are blurred", probability);
  v.field("kernel_sizes", kernel_sizes, "odd kernel sizes, one drawn, pixels", {.min = 1, .max = 51});
  v.field("kernel_probs", kernel_probs, "shares: iso, aniso, generalized iso, generalized aniso, plateau iso, plateau aniso", probability);
  v.field("sinc_prob", sinc_prob, "share of blurs that are a sinc (ringing) instead", probability);
  v.field("blur_sigma", blur_sigma, "[low, high] standard deviation of either axis, pixels", {.min = 0.01, .max = 50, .rising = true});
  v.field("betag_range", betag_range, "[low, high] exponent of generalized Gaussians, half of the draws below 1",
          {.min = 0.01, .max = 50, .rising = true});
  v.field("betap_range", betap_range, "[low, high] exponent of plateau kernels, half of the draws below 1",
          {.min = 0.01, .max = 50, .rising = true});
  v.field("resize_prob", resize_prob, "shares: up, down, keep", probability);
  v.field("resize_range", resize_range, "[low, high] factor: down from [low, 1], up from [1, high]",
          {.min = 0.01, .max = 8, .rising = true});
  v.field("gaussian_noise_prob", gaussian_noise_prob, "share of images with Gaussian noise; the others get Poisson noise", probability);
  v.field("noise_range", noise_range, "[low, high] sigma of the Gaussian noise, of 255", {.min = 0, .max = 255, .rising = true});
  v.field("poisson_scale_range", poisson_scale_range, "[low, high] strength of the Poisson noise", {.min = 0, .max = 100, .rising = true});
  v.field("gray_noise_prob", gray_noise_prob, "share of images whose noise is the same in R, G and B", probability);
  v.field("jpeg_range", jpeg_range, "[low, high] JPEG quality", {.min = 1, .max = 100, .rising = true});
}

DegradeSettings::DegradeSettings() {
  second.blur_prob = 0.8;
  second.blur_sigma = {0.2, 1.5};
  second.resize_prob = {0.3, 0.4, 0.3};
  second.resize_range = {0.3, 1.2};
  second.noise_range = {1, 25};
  second.poisson_scale_range = {0.05, 2.5};
}

void DegradeSettings::visit(SettingsVisitor& v) {
  v.field("scale", scale, "side of the photograph over side of the result", {.min = 1, .max = 64});
  v.field("usm", usm, "sharpen the clean photograph first (gt_usm)");
  v.field("second_order_prob", second_order_prob, "share of images that get the second round's blur, resize and noise",
          {.min = 0, .max = 1});
  v.group("first", first, "first round");
  v.group("second", second, "second round; its JPEG comes before or after the last resize, half and half");
  v.field("final_sinc_prob", final_sinc_prob, "share of images with a sinc filter after the last resize", {.min = 0, .max = 1});
  v.choice("final_resize", final_resize, "method of the last resize; random: area, bilinear or bicubic",
           {"random", "area", "bilinear", "bicubic", "bicubic_matlab"});
  v.choice("jpeg", jpeg,
           "libjpeg: the real codec; diff: its arithmetic without rounding of pixels (standard tables; those of Real-ESRGAN's DiffJPEG are "
           "transposed)",
           {"libjpeg", "diff"});
  check_degrade_settings(*this);
}

void check_degrade_settings(const DegradeSettings& settings) {
  check_round("first", settings.first);
  check_round("second", settings.second);
}

Image degrade(const Image& photo, const DegradeSettings& settings, Random random) { return apply_plan(photo, draw_plan(settings, random)); }

}  // namespace finpercep
