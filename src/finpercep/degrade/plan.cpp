// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/degrade/diff_jpeg.h"
#include "finpercep/degrade/jpeg_round.h"
#include "finpercep/degrade/noise.h"
#include "finpercep/image/tensor.h"

namespace finpercep {
namespace {

constexpr double kPi = std::numbers::pi;

// Half of the draws below 1, half above: the shape parameter is 1 for a plain Gaussian, and both sides shall be seen equally often.
double draw_beta(const std::array<double, 2>& range, Random& random) {
  const double middle = std::clamp(1.0, range[0], range[1]);
  return random.chance(0.5) ? random.uniform(range[0], middle) : random.uniform(middle, range[1]);
}

KernelSpec draw_kernel(const DegradeRound& round, Random& random) {
  KernelSpec spec;
  spec.size = static_cast<int>(round.kernel_sizes[random.integer(0, static_cast<int64_t>(round.kernel_sizes.size()) - 1)]);
  if (random.chance(round.sinc_prob)) {
    spec.kind = KernelKind::sinc;
    spec.omega = random.uniform(spec.size < 13 ? kPi / 3 : kPi / 5, kPi);
    return spec;
  }
  spec.kind = static_cast<KernelKind>(random.pick(round.kernel_probs));
  spec.sigma_x = random.uniform(round.blur_sigma[0], round.blur_sigma[1]);
  spec.sigma_y = spec.sigma_x;
  if (spec.kind == KernelKind::aniso || spec.kind == KernelKind::generalized_aniso || spec.kind == KernelKind::plateau_aniso) {
    spec.sigma_y = random.uniform(round.blur_sigma[0], round.blur_sigma[1]);
    spec.rotation = random.uniform(-kPi, kPi);
  }
  const bool generalized = spec.kind == KernelKind::generalized_iso || spec.kind == KernelKind::generalized_aniso;
  if (generalized) spec.beta = draw_beta(round.betag_range, random);
  const bool plateau = spec.kind == KernelKind::plateau_iso || spec.kind == KernelKind::plateau_aniso;
  if (plateau) spec.beta = draw_beta(round.betap_range, random);
  return spec;
}

Resize draw_method(Random& random) {
  constexpr Resize methods[] = {Resize::area, Resize::bilinear, Resize::bicubic};
  return methods[random.integer(0, 2)];
}

RoundPlan draw_round(const DegradeRound& round, Random& random) {
  RoundPlan plan;
  if (!round.enabled) {
    plan.active = false;
    return plan;
  }
  plan.blur = random.chance(round.blur_prob);
  plan.kernel = draw_kernel(round, random);
  plan.step = static_cast<ResizeStep>(random.pick(round.resize_prob));
  if (plan.step == ResizeStep::up) plan.factor = random.uniform(1, round.resize_range[1]);
  if (plan.step == ResizeStep::down) plan.factor = random.uniform(round.resize_range[0], 1);
  plan.method = draw_method(random);
  plan.gaussian = random.chance(round.gaussian_noise_prob);
  const auto& range = plan.gaussian ? round.noise_range : round.poisson_scale_range;
  plan.noise = random.uniform(range[0], range[1]);
  plan.gray = random.chance(round.gray_noise_prob);
  plan.noise_seed = random.bits();
  plan.noise_seed = (plan.noise_seed << 32) | random.bits();
  plan.jpeg_quality = static_cast<int>(std::lround(random.uniform(round.jpeg_range[0], round.jpeg_range[1])));
  return plan;
}

Resize final_method(const std::string& name, Random& random) {
  const Resize drawn = draw_method(random);
  if (name == "area") return Resize::area;
  if (name == "bilinear") return Resize::bilinear;
  if (name == "bicubic") return Resize::bicubic;
  if (name == "bicubic_matlab") return Resize::bicubic_matlab;
  return drawn;
}

void add_noise(Image& image, const RoundPlan& plan) {
  Random random(plan.noise_seed, "noise");
  if (plan.gaussian) add_gaussian_noise(image, plan.noise, plan.gray, random);
  else add_poisson_noise(image, plan.noise, plan.gray, random);
}

Image apply_jpeg(Image image, int quality, bool by_arithmetic) {
  if (quality <= 0) return image;
  if (!by_arithmetic) return jpeg_round_trip(image, quality);
  at::NoGradGuard no_grad;
  return to_image(diff_jpeg(to_tensor(image), at::full({1}, quality, at::kFloat)));
}

int at_least_one(double size) { return std::max(1, static_cast<int>(size)); }

}  // namespace

DegradePlan draw_plan(const DegradeSettings& settings, Random random) {
  check_degrade_settings(settings);
  DegradePlan plan;
  plan.scale = static_cast<int>(settings.scale);
  plan.usm = settings.usm;
  plan.first = draw_round(settings.first, random);
  plan.second = draw_round(settings.second, random);
  plan.second.active &= random.chance(settings.second_order_prob);
  plan.final_sinc = random.chance(settings.final_sinc_prob);
  plan.final_kernel.kind = KernelKind::sinc;
  plan.final_kernel.size = 2 * static_cast<int>(random.integer(3, 10)) + 1;
  plan.final_kernel.omega = random.uniform(kPi / 3, kPi);
  plan.final_method = final_method(settings.final_resize, random);
  plan.jpeg_last = random.chance(0.5);
  plan.diff_jpeg = settings.jpeg == "diff";
  return plan;
}

Image apply_plan(const Image& photo, const DegradePlan& plan) {
  const int width = photo.width / plan.scale, height = photo.height / plan.scale;
  if (photo.channels != 3 || width < 1 || height < 1 || photo.width % plan.scale != 0 || photo.height % plan.scale != 0)
    throw input_error(
        fmt::format("degradation: photograph: expected 3 channels and sides that are multiples of the scale {}, "
                    "found {} x {} with {} channels. crop it first",
                    plan.scale, photo.width, photo.height, photo.channels));
  Image image = plan.usm ? unsharp_mask(photo) : photo;
  if (plan.first.active) {
    const RoundPlan& round = plan.first;
    if (round.blur) image = filter2d(image, make_kernel(round.kernel));
    if (round.step != ResizeStep::keep) {
      const bool tiny = image.width * round.factor < 1 || image.height * round.factor < 1;
      image = tiny ? resize(image, at_least_one(image.width * round.factor), at_least_one(image.height * round.factor), round.method)
                   : resize_by(image, round.factor, round.method);
    }
    add_noise(image, round);
    clamp_unit(image);
    image = apply_jpeg(std::move(image), round.jpeg_quality, plan.diff_jpeg);
  }
  if (plan.second.active) {
    const RoundPlan& round = plan.second;
    if (round.blur) image = filter2d(image, make_kernel(round.kernel));
    // "keep" is 1 / scale of the photograph: the second round works near the size of the result.
    const int w = at_least_one(static_cast<double>(photo.width) / plan.scale * round.factor);
    const int h = at_least_one(static_cast<double>(photo.height) / plan.scale * round.factor);
    image = resize(image, w, h, round.method);
    add_noise(image, round);
  }
  const auto shrink = [&](const Image& from) {
    Image to = resize(from, width, height, plan.final_method);
    return plan.final_sinc ? filter2d(to, make_kernel(plan.final_kernel)) : to;
  };
  if (plan.jpeg_last) {
    image = shrink(image);
    clamp_unit(image);
    image = apply_jpeg(std::move(image), plan.second.jpeg_quality, plan.diff_jpeg);
  } else {
    clamp_unit(image);
    image = shrink(apply_jpeg(std::move(image), plan.second.jpeg_quality, plan.diff_jpeg));
  }
  round_to_bytes(image);
  return image;
}

}  // namespace finpercep
