// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/label.h"

#include <doctest/doctest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <map>
#include <memory>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/fgr/label_export.h"
#include "finpercep/image/tensor.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

// Built once; nothing where the weights are not in the cache.
const LabelFeatures* features(const std::string& name = "efficientnet") {
  static std::map<std::string, std::unique_ptr<LabelFeatures>> built;
  if (const auto found = built.find(name); found != built.end()) return found->second.get();
  std::unique_ptr<LabelFeatures>& made = built[name];
  if (test::have_weights({name == "dinov2" ? "dinov2_vits14" : "efficientnet_lite0"}))
    made = std::make_unique<LabelFeatures>(at::kCPU, name);
  return made.get();
}

const char* const nets[] = {"efficientnet", "dinov2"};

at::Tensor noise(uint64_t item, at::IntArrayRef shape) {
  Random random(3, "label_test", item);
  return normal_tensor(random, shape);
}

// The left half.
at::Tensor half_mask(int64_t height, int64_t width) {
  at::Tensor mask = at::zeros({1, 1, height, width});
  mask.narrow(3, 0, width / 2).fill_(1);
  return mask;
}

}  // namespace

TEST_CASE("composition: the mask takes from the second picture") {
  const at::Tensor gt = noise(1, {1, 3, 4, 4}), sr = noise(2, {1, 3, 4, 4});
  CHECK(at::equal(compose(gt, sr, at::zeros({1, 1, 4, 4})), gt));
  CHECK(at::allclose(compose(gt, sr, at::ones({1, 1, 4, 4})), sr, 0, 1e-6));
  CHECK(at::allclose(compose(gt, sr, at::full({1, 1, 4, 4}, 0.25)), 0.75 * gt + 0.25 * sr, 0, 1e-6));
  CHECK(at::equal(compose(gt, sr, half_mask(4, 4)).narrow(3, 2, 2), gt.narrow(3, 2, 2)));
}

TEST_CASE("normalisation clips at 1") {
  const at::Tensor label = normalize_label(at::tensor({0.0f, 0.1f, 0.2f, 0.9f}), 0.2);
  CHECK(at::allclose(label, at::tensor({0.0f, 0.5f, 1.0f, 1.0f})));
}

TEST_CASE("labels are zero outside the mask and for equal pictures") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    const at::Tensor gt = to_tensor(test::photo(48, 40)), sr = (gt + 0.1 * noise(1, gt.sizes())).clamp(0, 1), mask = half_mask(40, 48);
    const at::Tensor raw = raw_difference(*net, gt, compose(gt, sr, mask), mask, 0.6);
    CHECK(raw.sizes() == at::IntArrayRef({1, 1, 40, 48}));
    CHECK(raw.narrow(3, 24, 24).abs().max().item<double>() == 0);
    CHECK(raw.narrow(3, 0, 24).min().item<double>() >= 0);
    CHECK(raw.narrow(3, 0, 24).mean().item<double>() > 0.03);
    CHECK(raw_difference(*net, gt, gt, at::ones({1, 1, 40, 48}), 0.6).max().item<double>() < 1e-5);
    // Half an 8-bit step is no mask; one step is.
    CHECK(raw_difference(*net, gt, sr, at::full({1, 1, 40, 48}, 0.4 / 255), 0.6).max().item<double>() == 0);
    CHECK(raw_difference(*net, gt, sr, at::full({1, 1, 40, 48}, 1.0 / 255), 0.6).max().item<double>() > 0);
  }
}

TEST_CASE("labels: alpha mixes the mean absolute difference with the feature distance") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    const at::Tensor gt = to_tensor(test::photo(64, 32)), sr = (gt + 0.1 * noise(1, gt.sizes())).clamp(0, 1),
                     mask = at::ones({1, 1, 32, 64});
    const at::Tensor pixel = raw_difference(*net, gt, sr, mask, 1), feature = raw_difference(*net, gt, sr, mask, 0);
    CHECK(at::allclose(pixel, (gt - sr).abs().sum(1, true) / 3, 0, 1e-6));
    CHECK(at::allclose(feature, net->distance(gt, sr), 0, 1e-6));
    CHECK(at::allclose(raw_difference(*net, gt, sr, mask, 0.25), 0.25 * pixel + 0.75 * feature, 0, 1e-5));
  }
}

TEST_CASE("labels grow with the strength of a planted noise, the feature part as well") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    const at::Tensor gt = to_tensor(test::photo(64, 64)) * 0.6 + 0.2, planted = noise(1, gt.sizes()), mask = half_mask(64, 64);
    double total = 0, feature = 0;
    for (const double strength : {0.01, 0.03, 0.08, 0.2}) {
      CAPTURE(strength);
      const at::Tensor syn = compose(gt, (gt + strength * planted).clamp(0, 1), mask);
      const double next_total = raw_difference(*net, gt, syn, mask, 0.6).mean().item<double>();
      const double next_feature = raw_difference(*net, gt, syn, mask, 0).mean().item<double>();
      CHECK(next_total > total);
      CHECK(next_feature > feature);
      total = next_total;
      feature = next_feature;
    }
  }
}

TEST_CASE("the feature distance: any size, symmetric, highest where the defect is") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {64, 96}}) {
      const at::Tensor a = noise(1, {2, 3, height, width}).mul(0.2).add(0.5).clamp(0, 1),
                       b = noise(2, {2, 3, height, width}).mul(0.2).add(0.5).clamp(0, 1);
      const at::Tensor there = net->distance(a, b);
      CHECK(there.sizes() == at::IntArrayRef({2, 1, height, width}));
      CHECK(there.min().item<double>() >= 0);
      CHECK(there.max().item<double>() <= 2);
      CHECK(at::allclose(there, net->distance(b, a), 0, 1e-5));
    }
    const at::Tensor gt = to_tensor(test::photo(128, 128));
    at::Tensor sr = gt.clone();
    sr.narrow(2, 80, 32).narrow(3, 80, 32).copy_(noise(5, {1, 3, 32, 32}).mul(0.2).add(0.5).clamp(0, 1));
    const at::Tensor map = net->distance(gt, sr);
    CHECK(map.narrow(2, 80, 32).narrow(3, 80, 32).mean().item<double>() > 4 * map.narrow(2, 0, 32).narrow(3, 0, 32).mean().item<double>());
  }
}

TEST_CASE("the features of the clean photo may be made once: the same labels") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    const at::Tensor gt = to_tensor(test::photo(50, 45)), mask = half_mask(45, 50);
    const LabelFeatures::Maps clean = net->maps(gt);
    for (const double strength : {0.02, 0.1}) {
      const at::Tensor syn = compose(gt, (gt + strength * noise(1, gt.sizes())).clamp(0, 1), mask);
      CHECK(at::allclose(raw_difference(*net, clean, gt, syn, mask, 0.5), raw_difference(*net, gt, syn, mask, 0.5), 0, 1e-5));
      CHECK(at::allclose(net->distance(net->maps(syn), clean), net->distance(gt, syn), 0, 1e-5));
    }
  }
}

TEST_CASE("features in bf16: the distance moves by hundredths at most") {
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (!net) continue;
    const LabelFeatures rough(at::kCPU, name, at::kBFloat16);
    const at::Tensor gt = to_tensor(test::photo(96, 84)), sr = (gt + 0.1 * noise(1, gt.sizes())).clamp(0, 1);
    const at::Tensor exact = net->distance(gt, sr), found = rough.distance(gt, sr);
    CHECK((found.scalar_type() == at::kFloat));
    CHECK((found - exact).abs().max().item<double>() < 0.03);
    CHECK((found - exact).abs().mean().item<double>() < 0.01 * exact.mean().item<double>() + 1e-3);
  }
}

TEST_CASE("features: an unknown net is a usage error; each net gives labels of its own") {
  CHECK_THROWS_WITH_AS(LabelFeatures(at::kCPU, "vgg"), "label.features: expected efficientnet, dinov2 or dinov3, found 'vgg'", Error);
  if (!features() || !features("dinov2")) return;
  const at::Tensor gt = to_tensor(test::photo(64, 64)), sr = (gt + 0.1 * noise(1, gt.sizes())).clamp(0, 1);
  CHECK_FALSE(at::allclose(features()->distance(gt, sr), features("dinov2")->distance(gt, sr), 0, 1e-2));
}

TEST_CASE("the exported label is the label, for any size and other alphas and scales") {
  at::NoGradGuard no_grad;
  for (const std::string name : nets) {
    CAPTURE(name);
    const LabelFeatures* net = features(name);
    if (net == nullptr) continue;
    std::istringstream bytes(export_label(*net, 0.6, 0.2, "{}")), whole(export_label(*net, 1, 1, "{}"));
    torch::jit::Module module = torch::jit::load(bytes), of_whole_numbers = torch::jit::load(whole);
    const at::Tensor gt = noise(21, {2, 3, 50, 71}).mul(0.2).add(0.5).clamp(0, 1), mask = half_mask(50, 71).expand({2, 1, 50, 71}),
                     syn = (gt + 0.1 * mask * noise(22, gt.sizes())).clamp(0, 1);
    const auto label = [&](double alpha, double scale) { return normalize_label(raw_difference(*net, gt, syn, mask, alpha), scale); };
    const at::Tensor expected = label(0.6, 0.2), found = module.forward({gt, syn, mask}).toTensor();
    CHECK(found.sizes() == expected.sizes());
    CHECK((found - expected).abs().max().item<float>() < 1e-3F);
    CHECK(expected.mean().item<float>() > 0.05F);
    CHECK((of_whole_numbers.forward({gt, syn, mask}).toTensor() - label(1, 1)).abs().max().item<float>() < 1e-3F);
    for (const double alpha : {0.0, 1.0}) {
      const at::Tensor other = module.forward({gt, syn, mask, alpha, 0.4}).toTensor();
      CHECK((other - label(alpha, 0.4)).abs().max().item<float>() < 1e-3F);
    }
  }
}
