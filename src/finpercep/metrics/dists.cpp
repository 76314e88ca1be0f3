// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/dists.h"

#include <fmt/format.h>

#include <array>

#include "finpercep/base/error.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

namespace {

constexpr int64_t channels_in_all = 1475;

// sqrt of the mean of squares under the inner 3 x 3 of a 5 x 5 Hanning window, every other pixel.
at::Tensor l2_pool(const at::Tensor& x) {
  const int64_t channels = x.size(1);
  const at::Tensor side = at::tensor({.25f, .5f, .25f}, x.options());
  const at::Tensor kernel = (side.unsqueeze(1) * side).expand({channels, 1, 3, 3});
  return (at::conv2d(x.square(), kernel, {}, 2, 1, 1, channels) + 1e-12).sqrt();
}

// alpha and beta weighted similarity of the channels of one slice: N.
at::Tensor similarity(const at::Tensor& x, const at::Tensor& y, const at::Tensor& alpha, const at::Tensor& beta) {
  const at::Tensor mx = x.mean({2, 3}), my = y.mean({2, 3});
  const at::Tensor cx = x - mx.unsqueeze(2).unsqueeze(3), cy = y - my.unsqueeze(2).unsqueeze(3);
  const at::Tensor vx = cx.square().mean({2, 3}), vy = cy.square().mean({2, 3}), cov = (cx * cy).mean({2, 3});
  constexpr double c = 1e-6;
  const at::Tensor structure = (2 * mx * my + c) / (mx.square() + my.square() + c), texture = (2 * cov + c) / (vx + vy + c);
  return (structure * alpha + texture * beta).sum(1);
}

}  // namespace

Dists Dists::load(at::Device device) {
  Dists dists;
  Params trunk(0), weights(0);
  dists.convs = Vgg16(trunk).convs;
  dists.alpha = weights.constant("alpha", {channels_in_all}, 0);
  dists.beta = weights.constant("beta", {channels_in_all}, 0);
  const auto trunk_file = weight_file("lpips_vgg"), file = weight_file("dists");
  finpercep::load(trunk, read_safetensors(trunk_file, Checksum::required), trunk_file.string(), "", false);  // beside it lie LPIPS's heads
  finpercep::load(weights, read_safetensors(file, Checksum::required), file.string());
  trunk.to(device, at::kFloat);
  weights.to(device, at::kFloat);
  const at::Tensor sum = dists.alpha.sum() + dists.beta.sum();
  dists.alpha.div_(sum);
  dists.beta.div_(sum);
  dists.mean = at::tensor({.485f, .456f, .406f}).view({1, 3, 1, 1}).to(device);
  dists.deviation = at::tensor({.229f, .224f, .225f}).view({1, 3, 1, 1}).to(device);
  return dists;
}

at::Tensor Dists::operator()(const at::Tensor& x, const at::Tensor& y) const {
  if (x.dim() != 4 || x.size(1) != 3 || x.sizes() != y.sizes())
    throw input_error("dists: expected two batches of equal size with 3 channels");
  if (x.size(2) < Vgg16::min_side || x.size(3) < Vgg16::min_side)
    throw input_error(fmt::format("dists: expected sides of at least {} pixels, found {}x{}", Vgg16::min_side, x.size(3), x.size(2)));
  std::size_t next = 0;
  const auto slice = [&](at::Tensor h, std::size_t index, std::size_t first) {
    h = index == 0 ? (h - mean) / deviation : l2_pool(h);
    for (int64_t k = 0; k < Vgg16::slice_convs[index]; ++k) h = convs[first + k](h).relu_();
    return h;
  };
  // Slice by slice, both pictures: without gradients the features of the last slice are gone when the next are made.
  at::Tensor fx = x, fy = y, total = at::zeros({x.size(0)}, x.options());
  int64_t offset = 0;
  for (std::size_t index = 0;; ++index) {
    const int64_t count = fx.size(1);
    total = total + similarity(fx, fy, alpha.narrow(0, offset, count), beta.narrow(0, offset, count));
    offset += count;
    if (index == Vgg16::slice_convs.size()) return 1 - total;
    fx = slice(std::move(fx), index, next);
    fy = slice(std::move(fy), index, next);
    next += Vgg16::slice_convs[index];
  }
}

}  // namespace finpercep
