// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/encoder.h"

#include <doctest/doctest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cmath>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/reward/export.h"
#include "finpercep/reward/model.h"

using namespace finpercep;

namespace {

at::Tensor pictures(int64_t height, int64_t width) {
  Random random(6, "encoder_test");
  return normal_tensor(random, {2, 3, height, width}).mul(0.2).add(0.5).clamp(0, 1);
}

}  // namespace

TEST_CASE("encoders: five taps with their channels, the two coarsest on the strides' grids") {
  at::NoGradGuard no_grad;
  for (const std::string& name : encoder_names()) {
    CAPTURE(name);
    Params params(1);
    const RewardEncoder encoder(params, name);
    const auto taps = encoder(pictures(64, 96));
    for (int k = 0; k < 5; ++k) {
      CHECK(taps[k].size(0) == 2);
      CHECK(taps[k].size(1) == encoder.channels()[k]);
    }
    CHECK(taps[3].sizes().slice(2) == at::IntArrayRef({4, 6}));
    CHECK(taps[4].sizes().slice(2) == at::IntArrayRef({2, 3}));
  }
}

TEST_CASE("the whole model on each encoder: any size, finite, the ladder grows from it") {
  at::NoGradGuard no_grad;
  for (const std::string& name : encoder_names()) {
    CAPTURE(name);
    RewardSettings settings{.encoder = name, .stage = 0};
    auto model = std::make_unique<RewardModel>(settings, 1);
    try {
      model->load_pretrained_encoder();
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::model);  // weights that are not here: the message says what to fetch or supply
      MESSAGE(error.what());
    }
    const at::Tensor x = pictures(50, 70);
    const auto before = model->judge(x, 0);
    model = grow(*grow(*model, 2), 3);
    const auto after = model->judge(x, 2);
    CHECK(after.map.sizes() == at::IntArrayRef({2, 1, 50, 70}));
    CHECK(after.map.isfinite().all().item<bool>());
    CHECK(at::equal(before.score, after.score));
  }
}

TEST_CASE("DINOv2's tokens lie where they look, also where the side is no multiple of a patch") {
  at::NoGradGuard no_grad;
  Params params(1);
  const RewardEncoder encoder(params, "dinov2");
  try {
    encoder.load_pretrained();
  } catch (const Error& error) {
    MESSAGE(error.what());
    return;
  }
  const at::Tensor x = pictures(128, 128).narrow(0, 0, 1);
  for (const int64_t left : {0, 60, 117}) {
    at::Tensor changed = x.clone();
    changed.narrow(2, 56, 16).narrow(3, left, 8).fill_(1);
    const at::Tensor moved = (encoder(x)[0] - encoder(changed)[0]).norm(2, 1).sum({0, 1});
    const double width = 128.0 / static_cast<double>(moved.numel()), centre = (moved.argmax().item<double>() + 0.5) * width;
    CAPTURE(left);
    CHECK(std::abs(centre - static_cast<double>(left + 4)) < width);
  }
}

TEST_CASE("which tensors lie before a block") {
  CHECK(RewardEncoder::in_first_blocks("encoder.stem.weight", 1));
  CHECK(RewardEncoder::in_first_blocks("encoder.blocks.0.project.bias", 1));
  CHECK_FALSE(RewardEncoder::in_first_blocks("encoder.blocks.1.project.bias", 1));
  CHECK(RewardEncoder::in_first_blocks("encoder.blocks.9.fc.bias", 12));
  CHECK_FALSE(RewardEncoder::in_first_blocks("encoder.blocks.12.fc.bias", 12));
  CHECK(RewardEncoder::in_first_blocks("encoder.positions", 3));
  CHECK_FALSE(RewardEncoder::in_first_blocks("encoder.norm.bias", 3));
  CHECK_FALSE(RewardEncoder::in_first_blocks("encoder.stem.weight", 0));
  CHECK_FALSE(RewardEncoder::in_first_blocks("level.1.tap.weight", 9));
}

TEST_CASE("an unknown encoder names the known ones") {
  Params params(1);
  CHECK_THROWS_WITH_AS(RewardEncoder(params, "vgg"), "encoder: expected one of efficientnet, dinov2, clip, found 'vgg'", Error);
}

TEST_CASE("in TorchScript the whole model judges alike on each encoder but CLIP, and its weights train") {
  for (const std::string& name : encoder_names()) {
    CAPTURE(name);
    RewardModel model({.encoder = name}, 1);
    Random random(9, "busy");
    for (const auto& [tensor, value] : model.params.named()) {  // a transformer starts at zero
      at::NoGradGuard no_grad;
      value.add_(normal_tensor(random, value.sizes()) * 0.02);
    }
    if (name == "clip") {
      CHECK_THROWS_WITH_AS(export_reward(model, 4, "{}"), doctest::Contains("no TorchScript form"), Error);
      continue;
    }
    std::istringstream bytes(export_reward(model, 4, "{}"));
    torch::jit::Module module = torch::jit::load(bytes);
    const at::Tensor x = pictures(50, 70);
    const auto expected = model.judge(x, 4);
    const auto judged = [&] { return module.run_method("judge", x).toTuple()->elements(); };
    CHECK((judged()[0].toTensor() - expected.score_logit).abs().max().item<float>() < 1e-3F);
    CHECK((judged()[1].toTensor() - expected.map).abs().max().item<float>() < 1e-3F);
    CHECK(expected.map.std().item<float>() > 1e-4F);
    for (const at::Tensor& weight : module.parameters()) {
      CHECK(!weight.requires_grad());
      weight.set_requires_grad(true);
    }
    (judged()[0].toTensor().sum() + judged()[1].toTensor().mean()).backward();
    const auto has_gradient = [&](const std::string& weight) { return module.attr(weight).toTensor().grad().defined(); };
    for (const auto& weight : module.named_parameters()) {
      CAPTURE(weight.name);
      CHECK((has_gradient(weight.name) || name == "dinov2"));
    }
    CHECK(has_gradient("head_4_out_weight"));
    CHECK(!module.hasattr("head_3_out_weight"));
  }
}
