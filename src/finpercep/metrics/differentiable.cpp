// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/differentiable.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/base/error.h"
#include "finpercep/metrics/ssim_windows.h"

namespace finpercep {

namespace {

void require_batches(const at::Tensor& x, const at::Tensor& y, const char* metric) {
  if (x.dim() != 4 || x.sizes() != y.sizes())
    throw input_error(fmt::format("{}: expected two batches N x C x H x W of equal size, found {} and {}. resize or crop one of them",
                                  metric, fmt::join(x.sizes(), "x"), fmt::join(y.sizes(), "x")));
}

}  // namespace

at::Tensor luma_of(const at::Tensor& x, Channels channels) {
  if (channels == Channels::rgb) return x;
  if (x.dim() != 4 || x.size(1) != 3) throw input_error("luma: expected a batch of 3 channels");
  const bool studio = channels == Channels::ycbcr;
  const at::Tensor weights =
      (studio ? at::tensor({65.481, 128.553, 24.966}, at::kDouble) / 255 : at::tensor({.299, .587, .114}, at::kDouble)).to(x.options());
  return (x * weights.view({1, 3, 1, 1})).sum(1, true) + (studio ? 16. / 255 : 0.);
}

at::Tensor psnr(const at::Tensor& x, const at::Tensor& y, Channels channels, double added) {
  require_batches(x, y, "psnr");
  return (luma_of(x, channels) - luma_of(y, channels)).square().mean({1, 2, 3}).add(added).log10() * -10;
}

at::Tensor ssim(const at::Tensor& x, const at::Tensor& y, Channels channels, bool clamped) {
  require_batches(x, y, "ssim");
  if (x.size(2) < ssim_window || x.size(3) < ssim_window)
    throw input_error(fmt::format("ssim: expected sides of at least {} pixels, found {}x{}", ssim_window, x.size(3), x.size(2)));
  constexpr double c1 = .01 * .01, c2 = .03 * .03, middle = .5;
  const at::Tensor place = at::arange(ssim_window, x.options()) - ssim_window / 2;
  at::Tensor g = (place.square() / (-2 * 1.5 * 1.5)).exp();
  g = g / g.sum();
  // Variances are differences of large numbers in float32; around the middle of the range they are smaller ones.
  const at::Tensor a = luma_of(x, channels) - middle, b = luma_of(y, channels) - middle;
  const int64_t planes = a.size(0) * a.size(1);
  const at::Tensor stack = at::stack({a, b, a.square() + b.square(), a * b}).view({4 * planes, 1, a.size(2), a.size(3)});
  const at::Tensor means = at::conv2d(at::conv2d(stack, g.view({1, 1, ssim_window, 1})), g.view({1, 1, 1, ssim_window}));
  const auto part = [&](int64_t index) { return means.narrow(0, index * planes, planes); };
  const at::Tensor ma = part(0), mb = part(1), cross = ma * mb, power = ma.square() + mb.square();
  at::Tensor contrast = (2 * (part(3) - cross) + c2) / (part(2) - power + c2);
  if (clamped) contrast = at::relu(contrast);
  const at::Tensor ta = ma + middle, tb = mb + middle;
  const at::Tensor map = (2 * ta * tb + c1) / (ta.square() + tb.square() + c1) * contrast;
  return map.view({a.size(0), -1}).mean(1);
}

}  // namespace finpercep
