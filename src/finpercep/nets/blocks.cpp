// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/blocks.h"

#include <cmath>

#include "finpercep/nets/packed_conv.h"

namespace finpercep {

constexpr int64_t dilation = 1;

namespace {

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::relu6:
      return at::hardtanh(x, 0, 6);
    case Activation::silu:
      return at::silu(x);
    case Activation::none:
      break;
  }
  return x;
}

bool runs_packed(const Conv& conv, const at::Tensor& x) { return conv.packed && !at::GradMode::is_enabled() && x.is_cpu(); }

}  // namespace

at::Tensor Conv::operator()(const at::Tensor& x, Activation activation) const {
  if (runs_packed(*this, x)) return (*packed)(x, activation);
  if (!more_below)
    return activate(at::conv2d(x, weight, bias, at::IntArrayRef(stride), at::IntArrayRef(padding), at::IntArrayRef(dilation), groups),
                    activation);
  const at::Tensor padded = at::constant_pad_nd(x, {padding, padding + 1, padding, padding + 1}, 0);
  return activate(at::conv2d(padded, weight, bias, at::IntArrayRef(stride), at::IntArrayRef(int64_t{0}), at::IntArrayRef(dilation), groups),
                  activation);
}

at::Tensor Conv::added_to(const at::Tensor& other, const at::Tensor& x) const {
  return runs_packed(*this, x) ? (*packed)(x, Activation::none, other) : other + (*this)(x);
}

at::Tensor Conv::of_doubled(const at::Tensor& x) const {
  return runs_packed(*this, x) ? (*packed)(x, Activation::none)
                               : (*this)(at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(-2), 2 * x.size(-1)}));
}

bool can_pack(at::Device device, at::ScalarType dtype) {
  return device.is_cpu() && at::hasMKLDNN() && (dtype == at::kFloat || (dtype == at::kBFloat16 && PackedConv::has_bf16()));
}

void Conv::pack(at::ScalarType dtype, bool doubled) {
  if (can_pack(weight.device(), dtype)) packed = std::make_shared<const PackedConv>(*this, dtype, doubled);
}

Conv make_conv(Params& params, const std::string& name, int64_t in, int64_t out, int64_t kernel, ConvOptions options) {
  const int64_t fan_in = in / options.groups * kernel * kernel;
  return {params.normal(name + ".weight", {out, in / options.groups, kernel, kernel}, options.gain, fan_in),
          params.constant(name + ".bias", {out}, 0),
          options.stride,
          options.tensorflow_same ? (kernel - options.stride) / 2 : (kernel - 1) / 2,
          options.groups,
          options.tensorflow_same && options.stride == 2};
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

Linear make_linear(Params& params, const std::string& name, int64_t in, int64_t out, double gain) {
  return {params.normal(name + ".weight", {out, in}, gain, in), params.constant(name + ".bias", {out}, 0)};
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const { return at::group_norm(x, groups, weight, bias, eps); }

GroupNorm make_group_norm(Params& params, const std::string& name, int64_t channels, int64_t groups, double eps) {
  return {params.constant(name + ".weight", {channels}, 1), params.constant(name + ".bias", {channels}, 0), groups, eps};
}

at::Tensor time_embedding(const at::Tensor& t, int64_t dim) {
  const int64_t half = dim / 2;
  const at::Tensor frequency = at::exp(at::arange(half, t.options()) * (-std::log(10000.0) / static_cast<double>(half)));
  const at::Tensor phase = t.unsqueeze(1) * 1000.0 * frequency.unsqueeze(0);
  return at::cat({at::cos(phase), at::sin(phase)}, 1);
}

at::Tensor upsample_to(const at::Tensor& x, int64_t height, int64_t width) {
  if (x.size(-2) == height && x.size(-1) == width) return x;
  return at::upsample_bilinear2d(x, {height, width}, false);
}

}  // namespace finpercep
