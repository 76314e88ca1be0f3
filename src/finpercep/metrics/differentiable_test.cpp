// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <torch/types.h>

#include <cmath>
#include <functional>

#include "finpercep/base/error.h"
#include "finpercep/image/tensor.h"
#include "finpercep/metrics/differentiable.h"
#include "finpercep/metrics/dists.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/metrics/psnr.h"
#include "finpercep/metrics/ssim.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

at::Tensor random_batch(uint64_t item, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
  Random random(5, "differentiable_test", item);
  return normal_tensor(random, shape).to(type).mul_(0.15).add_(0.5).clamp_(0.05, 0.95);
}

using Loss = std::function<at::Tensor(const at::Tensor&)>;

// Along random directions, the central difference against the gradient's prediction.
void check_gradient(const Loss& loss, const at::Tensor& x, double step, double tolerance) {
  const at::Tensor leaf = x.clone().requires_grad_(true);
  loss(leaf).sum().backward();
  for (uint64_t item = 0; item < 4; ++item) {
    Random random(6, "differentiable_test direction", item);
    const at::Tensor direction = normal_tensor(random, x.sizes()).to(x.scalar_type());
    at::NoGradGuard no_grad;
    const double measured = ((loss(x + step * direction) - loss(x - step * direction)).sum() / (2 * step)).item<double>();
    const double predicted = (leaf.grad() * direction).sum().item<double>();
    CAPTURE(measured);
    CHECK(predicted == doctest::Approx(measured).epsilon(tolerance));
  }
}

Dists double_dists() {
  Dists dists = Dists::load();
  dists.stream = nullptr;
  for (auto& conv : dists.convs) {
    conv.weight = conv.weight.to(at::kDouble);
    conv.bias = conv.bias.to(at::kDouble);
  }
  for (at::Tensor* tensor : {&dists.alpha, &dists.beta, &dists.mean, &dists.deviation}) *tensor = tensor->to(at::kDouble);
  return dists;
}

// In double, which Lpips::load does not offer: the small step would drown in float32.
template <class Net>
Lpips double_lpips(const std::string& name) {
  Params params(0);
  Lpips lpips;
  const Net net(params);
  for (std::size_t i = 0; i < lpips.weights.size(); ++i)
    lpips.weights[i] = params.constant("lin" + std::to_string(i) + ".weight", {Net::slice_channels[i]}, 0);
  load(params, read_safetensors(weight_file(name), Checksum::required), name);
  params.to(at::kCPU, at::kDouble);
  for (auto& weight : lpips.weights) weight = weight.view({1, -1, 1, 1});
  lpips.features = net;
  lpips.shift = at::tensor({-.030, -.088, -.188}, at::kDouble).view({1, 3, 1, 1});
  lpips.scale = at::tensor({.458, .448, .450}, at::kDouble).view({1, 3, 1, 1});
  return lpips;
}

}  // namespace

TEST_CASE("tensors and pictures score alike") {
  const at::Tensor x = random_batch(1, {1, 3, 33, 41}, at::kFloat), y = random_batch(2, {1, 3, 33, 41}, at::kFloat);
  const Image a = to_image(x), b = to_image(y);
  for (Channels channels : {Channels::rgb, Channels::yiq, Channels::ycbcr}) {
    CHECK(psnr(x, y, channels).item<double>() == doctest::Approx(psnr(a, b, {.channels = channels})).epsilon(1e-5));
    for (bool clamped : {false, true}) {
      const double expected = ssim(a, b, {.channels = channels, .rounded = false, .clamped = clamped});
      CHECK(ssim(x, y, channels, clamped).item<double>() == doctest::Approx(expected).epsilon(1e-4));
      CHECK(ssim(x.to(at::kDouble), y.to(at::kDouble), channels, clamped).item<double>() == doctest::Approx(expected).epsilon(1e-9));
    }
  }
  const at::Tensor two = at::cat({x, y}), swapped = at::cat({y, y});
  CHECK(ssim(two, swapped)[1].item<double>() == doctest::Approx(1).epsilon(1e-6));
  CHECK(psnr(two, swapped)[1].item<double>() == doctest::Approx(80).epsilon(1e-6));
  CHECK_THROWS_AS(psnr(x, y.narrow(3, 0, 20)), Error);
  CHECK_THROWS_AS(ssim(x.narrow(3, 0, 10), y.narrow(3, 0, 10)), Error);
  CHECK_THROWS_AS(luma_of(x.narrow(1, 0, 2), Channels::yiq), Error);
}

TEST_CASE("gradients of psnr and ssim by finite differences") {
  const at::Tensor x = random_batch(3, {2, 3, 17, 19}), y = 0.7 * x + 0.3 * random_batch(4, {2, 3, 17, 19});
  for (Channels channels : {Channels::rgb, Channels::yiq, Channels::ycbcr}) {
    check_gradient([&](const at::Tensor& z) { return psnr(z, y, channels); }, x, 1e-5, 1e-6);
    check_gradient([&](const at::Tensor& z) { return ssim(z, y, channels); }, x, 1e-5, 1e-5);
  }
  const at::Tensor equal = x.clone().requires_grad_(true);
  (psnr(equal, x) + ssim(equal, x)).sum().backward();
  CHECK(at::isfinite(equal.grad()).all().item<bool>());
}

TEST_CASE("gradients of lpips and dists by finite differences") {
  if (!test::have_weights({"dists", "lpips_vgg", "lpips_alex"})) return;
  const at::Tensor x = random_batch(5, {1, 3, 48, 40}), y = random_batch(6, {1, 3, 48, 40});
  // Half a million ReLUs: only with a step as small as this does the straight line not cross a kink.
  const Dists dists = double_dists();
  check_gradient([&](const at::Tensor& z) { return dists(z, y); }, x, 1e-8, 1e-4);
  check_gradient([lpips = double_lpips<AlexNet>("lpips_alex"), &y](const at::Tensor& z) { return lpips(z, y); }, x, 1e-8, 1e-4);
  check_gradient([lpips = double_lpips<Vgg16>("lpips_vgg"), &y](const at::Tensor& z) { return lpips(z, y); }, x, 1e-8, 1e-4);
}
