// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <torch/types.h>

#include <algorithm>

#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/trunk_stream.h"
#include "finpercep/nets/winograd.h"

using namespace finpercep;

namespace {

at::Tensor noise(uint64_t item, at::IntArrayRef shape) {
  Random random(7, "winograd_test", item);
  return normal_tensor(random, shape);
}

at::Tensor outermost(const at::Tensor& x) { return x.permute({1, 2, 0}).contiguous(); }

// He's weights, so that the signal keeps its size through thirteen layers.
template <class Net>
Net filled(Params& params) {
  Net net(params);
  uint64_t item = 100;
  for (auto& conv : net.convs) {
    conv.weight.copy_(noise(++item, conv.weight.sizes()) * std::sqrt(2. / static_cast<double>(conv.weight[0].numel())));
    conv.bias.copy_(noise(++item, conv.bias.sizes()) * .1);
  }
  return net;
}

// The slices as the stream gives them, put together: pixels x channels.
template <class Stream, class... Pool>
std::array<std::array<at::Tensor, 2>, 5> collect(const Stream& stream, const at::Tensor& a, const at::Tensor& b, Pool... pool) {
  std::array<std::array<at::Tensor, 2>, 5> slices;
  stream(a, b, pool..., [&](std::size_t slice, const float* p, const float* q, int64_t pixels, int64_t channels) {
    for (std::size_t which = 0; which < 2; ++which) {
      const at::Tensor part = at::from_blob(const_cast<float*>(which == 0 ? p : q), {pixels, channels}).clone();
      at::Tensor& all = slices[slice][which];
      all = all.defined() ? at::cat({all, part}) : part;
    }
  });
  return slices;
}

template <class Net>
void check_slices(const std::array<std::array<at::Tensor, 2>, 5>& found, const Net& net, const at::Tensor& a, const at::Tensor& b) {
  for (std::size_t which = 0; which < 2; ++which) {
    const auto expected = net((which == 0 ? a : b).unsqueeze(0));
    for (std::size_t slice = 0; slice < 5; ++slice) {
      CAPTURE(slice);
      const at::Tensor want = outermost(expected[slice][0]).reshape({-1, expected[slice].size(1)});
      REQUIRE(found[slice][which].sizes() == want.sizes());
      CHECK((found[slice][which] - want).abs().max().item<double>() < 2e-4 * want.abs().max().item<double>());
    }
  }
}

}  // namespace

TEST_CASE("Winograd's convolution is torch's with a ReLU") {
  const at::NoGradGuard no_grad;
  Conv conv{noise(1, {24, 16, 3, 3}) / 12, noise(2, {24}), 1, 1, 1};
  const WinogradConv fast(conv);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{3, 1}, {5, 7}, {8, 8}, {33, 130}})
    for (bool top : {false, true})
      for (bool bottom : {false, true}) {
        const at::Tensor x = noise(3, {16, height, width});
        const at::Tensor padded = at::constant_pad_nd(x, {1, 1, top, bottom});
        const at::Tensor expected = outermost(at::relu(at::conv2d(padded.unsqueeze(0), conv.weight, conv.bias))[0]);
        const at::Tensor found = fast(outermost(x), top, bottom);
        REQUIRE(found.sizes() == expected.sizes());
        CHECK((found - expected).abs().max().item<double>() < 3e-5);
      }
  conv.stride = 2;
  CHECK_THROWS(WinogradConv(conv));
}

TEST_CASE("the streams give the slices of the nets") {
  const at::NoGradGuard no_grad;
  Params params(0);
  const at::Tensor a = noise(4, {3, 37, 50}), b = noise(5, {3, 37, 50});
  const auto alex = filled<AlexNet>(params);
  check_slices(collect(AlexStream(alex), a, b), alex, a, b);
  Params vgg_params(0);
  const auto vgg = filled<Vgg16>(vgg_params);
  check_slices(collect(VggStream(vgg), a, b, SlicePool::max), vgg, a, b);
  // A picture so wide that the first slices come in several bands.
  const at::Tensor wide_a = noise(6, {3, 47, 4200}), wide_b = noise(7, {3, 47, 4200});
  check_slices(collect(VggStream(vgg), wide_a, wide_b, SlicePool::max), vgg, wide_a, wide_b);
}
