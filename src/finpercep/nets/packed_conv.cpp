// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/packed_conv.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace finpercep {

namespace {

using Ints = at::IntArrayRef;
using Bias = std::optional<at::Tensor>;
using Scalars = at::List<std::optional<at::Scalar>>;
using Name = std::optional<std::string_view>;

// oneDNN's operators have no header; they are found by name, once.
template <class Signature>
auto operation(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

const char* post_op(Activation activation) {
  switch (activation) {
    case Activation::relu6:
      return "hardtanh";
    case Activation::silu:
      return "swish";
    case Activation::none:
      break;
  }
  return "none";
}

Scalars bounds(Activation activation) {
  Scalars scalars;
  if (activation == Activation::relu6)
    for (const double bound : {0.0, 6.0}) scalars.push_back(at::Scalar(bound));
  return scalars;
}

// Transposed kernel of 4 x 4, stride 2: tap t of the pixel of parity `a` falls on the small picture's pixel floor((a + t - 1) / 2) away.
at::Tensor doubling_kernel(const at::Tensor& weight) {
  at::Tensor spread = at::zeros({4, 3});
  for (int a = 0; a < 2; ++a)
    for (int t = 0; t < 3; ++t) spread[a + 1 - 2 * (a + t == 0 ? -1 : (a + t - 1) / 2)][t] = 1;
  return at::einsum("ut,vs,oits->iouv", {spread, spread, weight});
}

}  // namespace

bool PackedConv::has_bf16() { return operation<bool()>("mkldnn::_is_mkldnn_bf16_supported").call(); }

PackedConv::PackedConv(const Conv& conv, at::ScalarType dtype, bool of_doubled)
    : kind_(Kind::window), kernel_(conv.weight.size(2)), padding_(conv.padding), stride_(conv.stride), groups_(conv.groups) {
  at::NoGradGuard no_grad;
  at::Tensor weight = conv.weight.detach().to(at::kFloat);
  bias_ = conv.bias.detach().to(dtype);
  if (of_doubled) {
    TORCH_CHECK(kernel_ == 3 && padding_ == 1 && stride_ == 1 && groups_ == 1,
                "packed convolution: of a doubled picture only 3 x 3, found ", weight.sizes());
    static const auto reorder = operation<at::Tensor(const at::Tensor&, Ints, Ints, Ints, Ints, int64_t, at::OptionalIntArrayRef)>(
        "mkldnn::_reorder_convolution_transpose_weight");
    kind_ = Kind::of_doubled;
    weight_ = reorder.call(doubling_kernel(weight).to(dtype).contiguous(), {1, 1}, {0, 0}, {2, 2}, {1, 1}, 1, std::nullopt);
    return;
  }
  const bool one = weight.size(0) == 1 && stride_ == 1 && 2 * padding_ == kernel_ - 1;
  if (groups_ == 1 && stride_ == 1 && !conv.more_below && (kernel_ == 1 || one)) {
    static const auto reorder = operation<at::Tensor(const at::Tensor&, std::optional<int64_t>)>("mkldnn::_reorder_linear_weight");
    kind_ = one ? Kind::to_one : Kind::product;
    if (one) {
      weight = weight[0].permute({1, 2, 0}).reshape({kernel_ * kernel_, -1});
      bias_ = bias_.to(at::kFloat);
    }
    weight_ = reorder.call(weight.flatten(1).to(dtype).contiguous(), std::nullopt);
    return;
  }
  if (conv.more_below) {  // oneDNN's operator pads all sides alike: one more row and column above and to the left, whose weights are zero
    weight = at::constant_pad_nd(weight, {1, 0, 1, 0});
    ++padding_;
  }
  static const auto reorder =
      operation<at::Tensor(const at::Tensor&, Ints, Ints, Ints, int64_t, at::OptionalIntArrayRef)>("mkldnn::_reorder_convolution_weight");
  const int64_t padding[] = {padding_, padding_}, stride[] = {stride_, stride_};
  weight_ = reorder.call(weight.to(dtype).contiguous(), padding, stride, {1, 1}, groups_, std::nullopt);
}

at::Tensor PackedConv::product(const at::Tensor& x, Activation activation, const at::Tensor& summand) const {
  static const auto plain = operation<at::Tensor(const at::Tensor&, const at::Tensor&, const Bias&, std::string_view, Scalars, Name)>(
      "mkldnn::_linear_pointwise");
  static const auto summed = operation<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Bias&, std::string_view)>(
      "mkldnn::_linear_pointwise", "binary");
  const auto pixels = [](const at::Tensor& t) { return t.permute({0, 2, 3, 1}).reshape({-1, t.size(1)}); };  // a view of channels last
  const Bias bias = kind_ == Kind::to_one ? Bias() : Bias(bias_);
  const at::Tensor y = summand.defined() ? summed.call(pixels(x), pixels(summand), weight_, bias, "add")
                                         : plain.call(pixels(x), weight_, bias, post_op(activation), bounds(activation), std::nullopt);
  return y.view({x.size(0), x.size(2), x.size(3), y.size(1)}).permute({0, 3, 1, 2});
}

at::Tensor PackedConv::to_one(const at::Tensor& x) const {
  const at::Tensor taps = product(x, Activation::none, {}).permute({0, 2, 3, 1}).to(at::kFloat);  // N x H x W x taps
  const int64_t pictures = x.size(0), height = x.size(2), width = x.size(3), count = kernel_ * kernel_;
  at::Tensor out = at::empty({pictures, 1, height, width}, taps.options());
  const float *from = taps.const_data_ptr<float>(), bias = bias_.item<float>();
  float* to = out.data_ptr<float>();
  at::parallel_for(0, pictures * height, 32, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* sums = to + row * width;
      std::fill_n(sums, width, bias);
      for (int64_t tap = 0; tap < count; ++tap) {
        const int64_t dy = tap / kernel_ - padding_, dx = tap % kernel_ - padding_, y = row % height + dy;
        if (y < 0 || y >= height) continue;
        const float* line = from + (row + dy) * width * count + tap;
        for (int64_t i = std::max<int64_t>(0, -dx); i < std::min(width, width - dx); ++i) sums[i] += line[(i + dx) * count];
      }
    }
  });
  return out.to(x.scalar_type());
}

at::Tensor PackedConv::operator()(const at::Tensor& given, Activation activation, const at::Tensor& summand) const {
  const at::Tensor x = given.to(weight_.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
  TORCH_CHECK(!summand.defined() || (kind_ == Kind::product && activation == Activation::none),
              "packed convolution: a summand goes with 1 x 1 and no activation");
  if (kind_ == Kind::product) return product(x, activation, summand);
  if (kind_ == Kind::to_one) {
    TORCH_CHECK(activation == Activation::none, "packed convolution: to one channel without activation");
    return to_one(x);
  }
  const int64_t padding[] = {padding_, padding_}, stride[] = {stride_, stride_};
  if (kind_ == Kind::of_doubled) {
    static const auto transposed = operation<at::Tensor(const at::Tensor&, const at::Tensor&, const Bias&, Ints, Ints, Ints, Ints, int64_t,
                                                        std::string_view, Scalars, Name)>("mkldnn::_convolution_transpose_pointwise");
    return transposed.call(x, weight_, bias_, {1, 1}, {0, 0}, {2, 2}, {1, 1}, 1, post_op(activation), bounds(activation), std::nullopt);
  }
  static const auto window =
      operation<at::Tensor(const at::Tensor&, const at::Tensor&, const Bias&, Ints, Ints, Ints, int64_t, std::string_view, Scalars, Name)>(
          "mkldnn::_convolution_pointwise");
  return window.call(x, weight_, bias_, padding, stride, {1, 1}, groups_, post_op(activation), bounds(activation), std::nullopt);
}

}  // namespace finpercep
