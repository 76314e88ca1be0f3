// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/lpips.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

std::function<void(const at::Tensor&, const at::Tensor&, const TakeFeatures&)> stream_of(const AlexNet& net) {
  return [stream = std::make_shared<const AlexStream>(net)](const at::Tensor& a, const at::Tensor& b, const TakeFeatures& take) {
    (*stream)(a, b, take);
  };
}
std::function<void(const at::Tensor&, const at::Tensor&, const TakeFeatures&)> stream_of(const Vgg16& net) {
  return [stream = std::make_shared<const VggStream>(net)](const at::Tensor& a, const at::Tensor& b, const TakeFeatures& take) {
    (*stream)(a, b, SlicePool::max, take);
  };
}

using Lanes = float __attribute__((vector_size(32)));
constexpr int lanes = 8;

Lanes load_lanes(const float* from) {
  Lanes v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
float sum_of(Lanes v) {
  float sum = 0;
  for (int i = 0; i < lanes; ++i) sum += v[i];
  return sum;
}

// Weighted squared difference of two unit vectors; channels in eights, as all slices have them.
float pixel_distance(const float* a, const float* b, const float* weights, int64_t channels) {
  Lanes aa = {}, bb = {}, total = {};
  for (int64_t c = 0; c < channels; c += lanes) {
    const Lanes u = load_lanes(a + c), v = load_lanes(b + c);
    aa += u * u;
    bb += v * v;
  }
  const float p = 1 / (std::sqrt(sum_of(aa)) + 1e-10f), q = 1 / (std::sqrt(sum_of(bb)) + 1e-10f);
  for (int64_t c = 0; c < channels; c += lanes) {
    const Lanes gap = load_lanes(a + c) * p - load_lanes(b + c) * q;
    total += load_lanes(weights + c) * (gap * gap);
  }
  return sum_of(total);
}

template <class Net>
Lpips load_trunk(const std::string& weight_name, at::Device device) {
  Params params(std::nullopt);
  const Net net(params);
  Lpips lpips;
  for (std::size_t i = 0; i < lpips.weights.size(); ++i)
    lpips.weights[i] = params.constant(fmt::format("lin{}.weight", i), {Net::slice_channels[i]}, 0);
  const auto path = weight_file(weight_name);
  load(params, read_safetensors(path, Checksum::required), path.string());
  params.to(device, at::kFloat);
  for (auto& weight : lpips.weights) weight = weight.view({1, -1, 1, 1});
  lpips.features = net;
  if (device.is_cpu()) lpips.stream = stream_of(net);
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

void Lpips::require_pair(const at::Tensor& x, const at::Tensor& y) const {
  if (x.dim() != 4 || x.size(1) != 3 || x.sizes() != y.sizes())
    throw input_error("lpips: expected two batches of equal size with 3 channels");
  if (x.size(2) < min_side || x.size(3) < min_side)
    throw input_error(fmt::format("lpips: expected sides of at least {} pixels, found {}x{}", min_side, x.size(3), x.size(2)));
}

at::Tensor Lpips::streamed(const at::Tensor& x, const at::Tensor& y) const {
  constexpr int64_t pixels_per_task = 512;
  at::Tensor out = at::empty({x.size(0)}, x.options());
  for (int64_t n = 0; n < x.size(0); ++n) {
    std::array<double, 5> sums{}, counts{};
    stream(((2 * x[n] - 1 - shift[0]) / scale[0]), ((2 * y[n] - 1 - shift[0]) / scale[0]),
           [&](std::size_t slice, const float* a, const float* b, int64_t pixels, int64_t channels) {
             const at::Tensor weight = weights[slice].reshape({-1});
             const float* w = weight.const_data_ptr<float>();
             std::vector<double> parts((pixels + pixels_per_task - 1) / pixels_per_task);  // added up in order: no effect of the threads
             at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
               for (int64_t task = begin; task < end; ++task)
                 for (int64_t i = task * pixels_per_task; i < std::min(pixels, (task + 1) * pixels_per_task); ++i)
                   parts[task] += pixel_distance(a + i * channels, b + i * channels, w, channels);
             });
             for (double part : parts) sums[slice] += part;
             counts[slice] += static_cast<double>(pixels);
           });
    double total = 0;
    for (std::size_t slice = 0; slice < sums.size(); ++slice) total += sums[slice] / counts[slice];
    out[n] = total;
  }
  return out;
}

std::array<at::Tensor, 5> Lpips::distances(const at::Tensor& x, const at::Tensor& y) const {
  const auto fx = features((2 * x - 1 - shift) / scale), fy = features((2 * y - 1 - shift) / scale);
  std::array<at::Tensor, 5> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = ((unit(fx[i]) - unit(fy[i])).square() * weights[i]).sum(1, true);
  return out;
}

at::Tensor Lpips::operator()(const at::Tensor& x, const at::Tensor& y) const {
  require_pair(x, y);
  const bool gradients = at::GradMode::is_enabled() && (x.requires_grad() || y.requires_grad());
  if (stream && !gradients && x.scalar_type() == at::kFloat && y.scalar_type() == at::kFloat) return streamed(x, y);
  at::Tensor total;
  for (const auto& slice : distances(x, y)) {
    const at::Tensor mean = slice.mean({1, 2, 3});
    total = total.defined() ? total + mean : mean;
  }
  return total;
}

at::Tensor Lpips::map(const at::Tensor& x, const at::Tensor& y) const {
  require_pair(x, y);
  at::Tensor total;
  for (const auto& slice : distances(x, y)) {
    const at::Tensor enlarged = upsample_to(slice, x.size(2), x.size(3));
    total = total.defined() ? total + enlarged : enlarged;
  }
  return total;
}

}  // namespace finpercep
