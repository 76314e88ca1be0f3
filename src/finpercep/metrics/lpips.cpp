// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/lpips.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

namespace {

template <class Net>
Lpips load_trunk(const std::string& weight_name, at::Device device) {
  Params params(0);
  const Net net(params);
  Lpips lpips;
  for (std::size_t i = 0; i < lpips.weights.size(); ++i)
    lpips.weights[i] = params.constant(fmt::format("lin{}.weight", i), {Net::slice_channels[i]}, 0);
  const auto path = weight_file(weight_name);
  load(params, read_safetensors(path, Checksum::required), path.string());
  params.to(device, at::kFloat);
  for (auto& weight : lpips.weights) weight = weight.view({1, -1, 1, 1});
  lpips.features = net;
  lpips.min_side = Net::min_side;
  lpips.shift = at::tensor({-.030f, -.088f, -.188f}).view({1, 3, 1, 1}).to(device);
  lpips.scale = at::tensor({.458f, .448f, .450f}).view({1, 3, 1, 1}).to(device);
  return lpips;
}

// The norm is sqrt of the plain sum, 1e-10 added outside; its gradient is infinite where all channels are zero, which a ReLU net does
// reach, so there the gradient is stopped. Values are untouched.
at::Tensor unit(const at::Tensor& features) {
  const at::Tensor power = features.square().sum(1, true);
  const at::Tensor empty = power == 0;
  const at::Tensor norm = at::sqrt(power.masked_fill(empty, 1)).masked_fill(empty, 0);
  return features / (norm + 1e-10);
}

}  // namespace

Lpips Lpips::load(const std::string& net, at::Device device) {
  if (net == "alex") return load_trunk<AlexNet>("lpips_alex", device);
  if (net == "vgg") return load_trunk<Vgg16>("lpips_vgg", device);
  throw usage_error(fmt::format("lpips: net: expected alex or vgg, found '{}'", net));
}

std::array<at::Tensor, 5> Lpips::distances(const at::Tensor& x, const at::Tensor& y) const {
  if (x.dim() != 4 || x.size(1) != 3 || x.sizes() != y.sizes())
    throw input_error("lpips: expected two batches of equal size with 3 channels");
  if (x.size(2) < min_side || x.size(3) < min_side)
    throw input_error(fmt::format("lpips: expected sides of at least {} pixels, found {}x{}", min_side, x.size(3), x.size(2)));
  const auto fx = features((2 * x - 1 - shift) / scale), fy = features((2 * y - 1 - shift) / scale);
  std::array<at::Tensor, 5> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = ((unit(fx[i]) - unit(fy[i])).square() * weights[i]).sum(1, true);
  return out;
}

at::Tensor Lpips::operator()(const at::Tensor& x, const at::Tensor& y) const {
  at::Tensor total;
  for (const auto& slice : distances(x, y)) {
    const at::Tensor mean = slice.mean({1, 2, 3});
    total = total.defined() ? total + mean : mean;
  }
  return total;
}

at::Tensor Lpips::map(const at::Tensor& x, const at::Tensor& y) const {
  at::Tensor total;
  for (const auto& slice : distances(x, y)) {
    const at::Tensor enlarged = upsample_to(slice, x.size(2), x.size(3));
    total = total.defined() ? total + enlarged : enlarged;
  }
  return total;
}

}  // namespace finpercep
