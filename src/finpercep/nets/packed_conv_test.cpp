// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/packed_conv.h"

#include <doctest/doctest.h>

#include "finpercep/nets/efficientnet.h"

using namespace finpercep;

namespace {

at::Tensor numbers(at::IntArrayRef shape, uint64_t item) {
  Random random(3, "packed_conv_test", item);
  return normal_tensor(random, shape);
}

Conv some_conv(int64_t in, int64_t out, int64_t kernel, ConvOptions options = {}) {
  Params params(7);
  const Conv conv = make_conv(params, "c", in, out, kernel, options);
  conv.bias.copy_(numbers({out}, 1));
  return conv;
}

double off(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("a packed convolution gives what the plain one gives, fp32 and bf16, with its activation") {
  at::NoGradGuard no_grad;
  const std::pair<const char*, Conv> cases[] = {
      {"1 x 1", some_conv(24, 40, 1)},
      {"3 x 3", some_conv(5, 7, 3)},
      {"depthwise", some_conv(48, 48, 5, {.groups = 48})},
      {"stride 2", some_conv(3, 32, 3, {.stride = 2})},
      {"TensorFlow's SAME", some_conv(3, 32, 3, {.stride = 2, .tensorflow_same = true})},
      {"depthwise 5 x 5, TensorFlow's SAME", some_conv(32, 32, 5, {.stride = 2, .groups = 32, .tensorflow_same = true})}};
  for (const auto& [name, conv] : cases)
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
      for (const auto& [height, width] : {std::pair<int64_t, int64_t>{2, 2}, {16, 34}}) {
        if (!can_pack(at::kCPU, dtype)) continue;
        CAPTURE(name);
        CAPTURE(height);
        Conv packed = conv;
        packed.pack(dtype);
        REQUIRE(packed.packed);
        const at::Tensor x = numbers({2, conv.weight.size(1) * conv.groups, height, width}, 2);
        for (const Activation activation : {Activation::none, Activation::relu6, Activation::silu}) {
          const at::Tensor y = packed(x, activation);
          CHECK((y.scalar_type() == dtype));
          CHECK(off(y.to(at::kFloat), conv(x, activation)) < (dtype == at::kFloat ? 2e-6 : 2e-2));
        }
      }
}

TEST_CASE("packed: a sum, a doubled picture, one channel") {
  at::NoGradGuard no_grad;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    if (!can_pack(at::kCPU, dtype)) continue;
    const double bound = dtype == at::kFloat ? 2e-6 : 2e-2;
    const at::Tensor x = numbers({2, 16, 6, 9}, 3);
    Conv conv = some_conv(16, 24, 1), doubled = some_conv(16, 24, 3), one = some_conv(16, 1, 3);
    const at::Tensor other = numbers({2, 24, 6, 9}, 4), plain[] = {conv.added_to(other, x), doubled.of_doubled(x), one(x)};
    conv.pack(dtype);
    doubled.pack(dtype, true);
    one.pack(dtype);
    CHECK(off(conv.added_to(other.to(dtype).contiguous(at::MemoryFormat::ChannelsLast), x).to(at::kFloat), plain[0]) < bound);
    CHECK(plain[1].size(2) == 12);
    CHECK(off(doubled.of_doubled(x).to(at::kFloat), plain[1]) < bound);
    CHECK(off(one(x).to(at::kFloat), plain[2]) < bound);
  }
}

TEST_CASE("with gradients the packed weights are not used") {
  Conv conv = some_conv(8, 8, 3);
  conv.pack(at::kFloat);
  conv.weight.set_requires_grad(true);
  conv(numbers({1, 8, 4, 4}, 5), Activation::silu).sum().backward();
  CHECK(conv.weight.grad().defined());
}

TEST_CASE("EfficientNet-Lite0 packed: the taps of the plain net, also where blocks run in bands of rows") {
  at::NoGradGuard no_grad;
  Params params(1);
  const EfficientNetLite0 net(params);
  for (const int64_t height : {64, 1600}) {
    const at::Tensor x = numbers({1, 3, height / 8, 160}, 6).mul(0.2).add(0.5).clamp(0, 1).repeat({1, 1, 8, 8});
    const auto plain = net.lower(x);
    EfficientNetLite0 fast = net;
    fast.pack(at::kFloat);
    const auto packed = fast.lower(x);
    for (std::size_t k = 0; k < plain.size(); ++k) CHECK(off(packed[k], plain[k]) < 1e-5);
    if (height > 64) continue;
    const auto deep = net.upper(plain[2]), deep_packed = fast.upper(plain[2]);
    for (std::size_t k = 0; k < deep.size(); ++k) CHECK(off(deep_packed[k], deep[k]) < 1e-5);
  }
}
