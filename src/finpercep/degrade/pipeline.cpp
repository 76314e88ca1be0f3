// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/pipeline.h"

#include <utility>

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

void check_interval(const char* round, const char* key, const std::vector<double>& range, double min, double max) {
  if (range.size() != 2) refuse(round, key, "two numbers, low and high", range, "write [low, high]");
  if (!(range[0] <= range[1])) refuse(round, key, "low <= high", range, "swap the two numbers");
  if (!(range[0] >= min && range[1] <= max)) {
    const std::string expected = fmt::format("numbers from {} to {}", min, max);
    refuse(round, key, expected.c_str(), range, "narrow the interval");
  }
}

void check_shares(const char* round, const char* key, const std::vector<double>& shares, std::size_t count, const char* names) {
  double sum = 0;
  bool valid = shares.size() == count;
  for (const double share : shares) {
    valid = valid && share >= 0 && share <= 1;
    sum += share;
  }
  if (!valid || !(sum > 0)) {
    const std::string expected = fmt::format("{} numbers in [0, 1] ({}), not all zero", count, names);
    refuse(round, key, expected.c_str(), shares, "give one share a kind");
  }
}

void check_probability(const char* round, const char* key, double value) {
  if (!(value >= 0 && value <= 1)) refuse(round, key, "a probability in [0, 1]", std::vector<double>{value}, "correct it");
}

void check_round(const char* name, const DegradeRound& round) {
  check_probability(name, "blur_prob", round.blur_prob);
  check_probability(name, "sinc_prob", round.sinc_prob);
  check_probability(name, "gaussian_noise_prob", round.gaussian_noise_prob);
  check_probability(name, "gray_noise_prob", round.gray_noise_prob);
  bool odd = !round.kernel_sizes.empty();
  for (const int64_t size : round.kernel_sizes) odd = odd && size >= 1 && size <= 51 && size % 2 == 1;
  if (!odd) refuse(name, "kernel_sizes", "odd sizes from 1 to 51", round.kernel_sizes, "list at least one odd size");
  check_shares(name, "kernel_probs", round.kernel_probs, 6, "iso, aniso, generalized iso, generalized aniso, plateau iso, plateau aniso");
  check_shares(name, "resize_prob", round.resize_prob, 3, "up, down, keep");
  check_interval(name, "blur_sigma", round.blur_sigma, 0.01, 50);
  check_interval(name, "betag_range", round.betag_range, 0.01, 50);
  check_interval(name, "betap_range", round.betap_range, 0.01, 50);
  check_interval(name, "resize_range", round.resize_range, 0.01, 8);
  if (!(round.resize_range[0] <= 1 && round.resize_range[1] >= 1))
    refuse(name, "resize_range", "an interval around 1", round.resize_range, "down draws from [low, 1], up from [1, high]");
  check_interval(name, "noise_range", round.noise_range, 0, 255);
  check_interval(name, "poisson_scale_range", round.poisson_scale_range, 0, 100);
  check_interval(name, "jpeg_range", round.jpeg_range, 1, 100);
}

}  // namespace

void DegradeRound::visit(SettingsVisitor& v) {
  const Range probability = {.min = 0, .max = 1};
  v.field("enabled", enabled, "false: nothing of this round happens, its JPEG included");
  v.field("blur_prob", blur_prob, "share of images that are blurred", probability);
  v.field("kernel_sizes", kernel_sizes, "odd kernel sizes, one drawn, pixels", {.min = 1, .max = 51});
  v.field("kernel_probs", kernel_probs, "shares: iso, aniso, generalized iso, generalized aniso, plateau iso, plateau aniso", probability);
  v.field("sinc_prob", sinc_prob, "share of blurs that are a sinc (ringing) instead", probability);
  v.field("blur_sigma", blur_sigma, "[low, high] standard deviation of either axis, pixels", {.min = 0.01, .max = 50});
  v.field("betag_range", betag_range, "[low, high] exponent of generalized Gaussians, half of the draws below 1", {.min = 0.01, .max = 50});
  v.field("betap_range", betap_range, "[low, high] exponent of plateau kernels, half of the draws below 1", {.min = 0.01, .max = 50});
  v.field("resize_prob", resize_prob, "shares: up, down, keep", probability);
  v.field("resize_range", resize_range, "[low, high] factor: down from [low, 1], up from [1, high]", {.min = 0.01, .max = 8});
  v.field("gaussian_noise_prob", gaussian_noise_prob, "share of images with Gaussian noise; the others get Poisson noise", probability);
  v.field("noise_range", noise_range, "[low, high] sigma of the Gaussian noise, of 255", {.min = 0, .max = 255});
  v.field("poisson_scale_range", poisson_scale_range, "[low, high] strength of the Poisson noise", {.min = 0, .max = 100});
  v.field("gray_noise_prob", gray_noise_prob, "share of images whose noise is the same in R, G and B", probability);
  v.field("jpeg_range", jpeg_range, "[low, high] JPEG quality", {.min = 1, .max = 100});
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
  if (settings.scale < 1 || settings.scale > 64)
    throw usage_error(fmt::format("degradation: scale: expected a whole number from 1 to 64, found {}. 4 is usual", settings.scale));
  const std::pair<const char*, double> shares[] = {{"second_order_prob", settings.second_order_prob},
                                                   {"final_sinc_prob", settings.final_sinc_prob}};
  for (const auto& [key, value] : shares)
    if (!(value >= 0 && value <= 1))
      throw usage_error(fmt::format("degradation: {}: expected a probability in [0, 1], found {}. correct it", key, value));
  if (settings.jpeg != "libjpeg" && settings.jpeg != "diff")
    throw usage_error(fmt::format("degradation: jpeg: expected libjpeg or diff, found '{}'. libjpeg is usual", settings.jpeg));
  check_round("first", settings.first);
  check_round("second", settings.second);
}

Image degrade(const Image& photo, const DegradeSettings& settings, Random random) { return apply_plan(photo, draw_plan(settings, random)); }

}  // namespace finpercep
