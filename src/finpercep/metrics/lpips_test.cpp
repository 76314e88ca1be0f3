// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

at::Tensor random_batch(uint64_t item, at::IntArrayRef shape) {
  Random random(2, "lpips_test", item);
  return normal_tensor(random, shape).mul_(0.15).add_(0.5).clamp_(0, 1);
}

// A two-channel "net" on three-channel input, so that distances can be worked out by hand: slice k sees channels R and G.
Lpips hand_made() {
  Lpips lpips;
  lpips.features = [](const at::Tensor& x) {
    std::array<at::Tensor, 5> out;
    for (auto& slice : out) slice = at::relu(x.narrow(1, 0, 2));
    return out;
  };
  for (auto& weight : lpips.weights) weight = at::tensor({1.f, 10.f}).view({1, 2, 1, 1});
  lpips.shift = at::zeros({1, 3, 1, 1});
  lpips.scale = at::ones({1, 3, 1, 1});
  return lpips;
}

at::Tensor flat(float r, float g) { return at::tensor({r, g, .5f}).view({1, 3, 1, 1}).expand({1, 3, 4, 6}).contiguous(); }

}  // namespace

TEST_CASE("the distance is the weighted squared difference of unit vectors, summed over slices") {
  const Lpips lpips = hand_made();
  // 2x-1 turns (.8,.9) into (.6,.8), a unit vector, and (1,.5) into (1,0).
  const double expected = 5 * (1 * .4 * .4 + 10 * .8 * .8);
  CHECK(lpips(flat(.8f, .9f), flat(1, .5f)).item<double>() == doctest::Approx(expected).epsilon(1e-5));
  CHECK(lpips(flat(.65f, .7f), flat(1, .5f)).item<double>() == doctest::Approx(expected).epsilon(1e-5));  // half as long, same direction
  const at::Tensor map = lpips.map(flat(.8f, .9f), flat(1, .5f));
  CHECK(map.sizes() == at::IntArrayRef({1, 1, 4, 6}));
  CHECK(map.min().item<double>() == doctest::Approx(expected).epsilon(1e-5));
  CHECK(map.max().item<double>() == doctest::Approx(expected).epsilon(1e-5));
}

TEST_CASE("the gradient stays finite where a net answers zero") {
  const Lpips lpips = hand_made();
  at::Tensor x = flat(.1f, .2f).requires_grad_(true);  // both features are zero after the ReLU
  const at::Tensor value = lpips(x, flat(.8f, .9f)).sum();
  CHECK(value.item<double>() == doctest::Approx(5 * (.36 + 6.4)).epsilon(1e-5));
  value.backward();
  CHECK(at::isfinite(x.grad()).all().item<bool>());
}

TEST_CASE("wrong shapes are refused") {
  Lpips lpips = hand_made();
  lpips.min_side = 5;
  CHECK_THROWS_WITH_AS(lpips(flat(1, 1), flat(1, 1)), doctest::Contains("at least 5 pixels, found 6x4"), Error);
  CHECK_THROWS_AS(hand_made()(flat(1, 1), flat(1, 1).narrow(3, 0, 3)), Error);
  CHECK_THROWS_AS(Lpips::load("squeeze"), Error);
}

TEST_CASE("the trunks give five slices of the right sizes, down to the least picture") {
  Params alex_params(0), vgg_params(0);
  const AlexNet alex(alex_params);
  const Vgg16 vgg(vgg_params);
  CHECK(alex_params.with_prefix("features.").size() == 10);
  CHECK(vgg_params.with_prefix("features.").size() == 26);
  const auto a = alex(random_batch(0, {2, 3, 64, 96}));
  const auto v = vgg(random_batch(0, {2, 3, 64, 96}));
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(a[i].size(1) == AlexNet::slice_channels[i]);
    CHECK(v[i].size(1) == Vgg16::slice_channels[i]);
    CHECK(v[i].size(2) == 64 >> i);
  }
  CHECK(a[0].sizes() == at::IntArrayRef({2, 64, 15, 23}));
  CHECK(a[4].sizes() == at::IntArrayRef({2, 256, 3, 5}));
  CHECK_NOTHROW(alex(random_batch(0, {1, 3, AlexNet::min_side, AlexNet::min_side})));
  CHECK_THROWS(alex(random_batch(0, {1, 3, AlexNet::min_side - 1, AlexNet::min_side})));
  CHECK_NOTHROW(vgg(random_batch(0, {1, 3, Vgg16::min_side, Vgg16::min_side})));
  CHECK_THROWS(vgg(random_batch(0, {1, 3, Vgg16::min_side - 1, Vgg16::min_side})));
}

TEST_CASE("with the published weights") {
  if (!test::have_weights({"lpips_alex", "lpips_vgg"})) return;
  for (const char* name : {"alex", "vgg"}) {
    const Lpips lpips = Lpips::load(name);
    const at::Tensor x = random_batch(1, {2, 3, 64, 80}), y = random_batch(2, {2, 3, 64, 80});
    CHECK(lpips(x, x).abs().max().item<double>() == 0);
    const at::Tensor both = lpips(x, y);
    CHECK(both.sizes() == at::IntArrayRef({2}));
    CHECK(both.min().item<double>() > 0.01);
    const at::Tensor second = lpips(x.narrow(0, 1, 1), y.narrow(0, 1, 1));
    CHECK(second[0].item<double>() == doctest::Approx(both[1].item<double>()).epsilon(1e-4));  // a batch does not mix its pictures
    CHECK(lpips.map(x, y).sizes() == at::IntArrayRef({2, 1, 64, 80}));
    at::Tensor moved = x.clone().requires_grad_(true);
    const at::Tensor with_gradient = lpips(moved, y);  // the road without gradients is another one
    CHECK(at::allclose(with_gradient, both, 1e-4, 1e-6));
    with_gradient.sum().backward();
    const at::Tensor step = moved.grad() / moved.grad().norm();
    CHECK((lpips(x - 0.05 * step, y) < both).all().item<bool>());  // the gradient points uphill
  }
  // Sums of the linear heads as published (LPIPS_v0.1_alex).
  const Lpips alex = Lpips::load("alex");
  const double sums[] = {2.34953, 16.1430, 39.2684, 27.1972, 20.3172};
  for (std::size_t i = 0; i < 5; ++i) CHECK(alex.weights[i].sum().item<double>() == doctest::Approx(sums[i]).epsilon(1e-5));
}

TEST_CASE("distances and maps are those of the authors' package, at even and odd sizes") {
  if (!test::have_weights({"lpips_alex", "lpips_vgg"})) return;
  const auto fixture = nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/lpips.json"));
  for (const auto& c : fixture.at("cases")) {
    const int64_t height = c.at("height"), width = c.at("width");
    const auto waves = [&](double fx, double fy, double phase) {
      const auto axis = [](int64_t n) { return at::arange(n, at::kDouble); };
      const at::Tensor angle =
          fx * axis(width).view({1, 1, 1, -1}) + fy * axis(height).view({1, 1, -1, 1}) + 1.3 * axis(3).view({1, -1, 1, 1}) + phase;
      return (0.5 + 0.5 * at::sin(angle)).to(at::kFloat);
    };
    const at::Tensor a = waves(.37, .61, 0), b = waves(.35, .64, .2);
    const Lpips lpips = Lpips::load(c.at("net"));
    CHECK(lpips(a, b).item<double>() == doctest::Approx(c.at("value").get<double>()).epsilon(1e-4));
    const at::Tensor map = lpips.map(a, b);
    const auto& expected = c.at("map");
    CHECK((map.sizes().vec() == expected.at("shape").get<std::vector<int64_t>>()));
    CHECK(map.mean().item<double>() == doctest::Approx(expected.at("mean").get<double>()).epsilon(1e-4));
    for (std::size_t i = 0; i < 8; ++i)
      CHECK(map.flatten()[expected.at("index")[i].get<int64_t>()].item<double>() ==
            doctest::Approx(expected.at("values")[i].get<double>()).epsilon(1e-3));
  }
}
