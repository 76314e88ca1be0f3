// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/model.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/tensor.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/judge.h"
#include "finpercep/nets/checkpoint.h"

using namespace finpercep;

namespace {

RewardSettings small(int64_t stage) {
  RewardSettings settings;
  settings.stage = stage;
  settings.widths = {16, 12, 8, 8, 8};
  settings.head_width = 16;
  return settings;
}

// Random weights where a fresh model has zeros, so that maps have something to say.
void shake(const RewardModel& model) {
  for (std::size_t i = 0; i < model.params.named().size(); ++i) {
    const auto& [name, tensor] = model.params.named()[i];
    if (!name.ends_with("logits.weight") && !name.ends_with("logits.bias")) continue;
    Random random(99, "shake", i);
    tensor.copy_(normal_tensor(random, tensor.sizes()) * 0.1);
  }
}

std::unique_ptr<RewardModel> shaken(int64_t stage, uint64_t seed = 1) {
  auto model = std::make_unique<RewardModel>(small(stage), seed);
  shake(*model);
  return model;
}

// What a checkpoint of it gives back.
void round_to_halves(const RewardModel& model) {
  for (at::Tensor& values : model.params.all()) values.copy_(values.to(at::kHalf));
}

at::Tensor pictures(int64_t n, int64_t height, int64_t width, uint64_t item = 0) {
  Random random(5, "model_test", item);
  return at::upsample_bilinear2d(normal_tensor(random, {n, 3, height / 4 + 1, width / 4 + 1}), {height, width}, false)
      .mul(0.25)
      .add(0.5)
      .clamp(0, 1);
}

double largest(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("stage 0 sees no map: .5 everywhere") {
  at::NoGradGuard no_grad;
  const auto model = shaken(1);
  const Judgement j = model->judge(pictures(2, 64, 32), 0);
  CHECK(j.map.sizes() == at::IntArrayRef({2, 1, 64, 32}));
  CHECK(at::equal(j.map, at::full_like(j.map, 0.5)));
  CHECK(j.score.sizes() == at::IntArrayRef({2}));
}

TEST_CASE("a model grown by a stage judges as before, at every step of the ladder") {
  at::NoGradGuard no_grad;
  auto model = shaken(0);
  const at::Tensor x = pictures(2, 64, 96);
  for (int64_t k = 0; k < finest_stage; ++k) {
    CAPTURE(k);
    auto grown = grow(*model, 10 + static_cast<uint64_t>(k));
    REQUIRE(grown->settings.stage == k + 1);
    const auto before = model->judge_all(x, k), after = grown->judge_all(x, k + 1);
    if (k > 0) CHECK(before[k].map.std().item<double>() > 1e-3);
    for (int64_t stage = 0; stage <= k; ++stage) {  // the stages that were there are still there
      CHECK(at::equal(after[stage].score, before[stage].score));
      CHECK(at::equal(after[stage].map, before[stage].map));
    }
    CHECK(at::equal(after[k + 1].score, before[k].score));
    CHECK(at::equal(after[k + 1].map, before[k].map));
    for (const at::Tensor& tensor : grown->params.with_prefix("encoder.")) REQUIRE(tensor.isfinite().all().item<bool>());
    model = std::move(grown);
    shake(*model);
    CHECK(largest(model->judge(x, k + 1).map, before[k].map) > 1e-3);
  }
  CHECK_THROWS(grow(*model, 1));
}

TEST_CASE("both heads: the paper's sees defects alone") {
  at::NoGradGuard no_grad;
  RewardSettings settings = small(1);
  settings.head = "defect";
  const auto seen = [](const RewardModel& model) { return model.params.with_prefix("head.1.hidden.weight").at(0).size(1); };
  CHECK(seen(RewardModel(settings, 1)) == 320);
  CHECK(seen(*shaken(1)) == 640);
}

TEST_CASE("any size of picture") {
  at::NoGradGuard no_grad;
  const auto model = shaken(4);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {32, 64}, {65, 31}}) {
    const Judgement j = model->judge(pictures(1, height, width), 4);
    CAPTURE(height);
    CHECK(j.map.sizes() == at::IntArrayRef({1, 1, height, width}));
    CHECK(j.map.min().item<double>() >= 0);
    CHECK(j.map.max().item<double>() <= 1);
    const double score = j.score.item<double>();
    CHECK(score >= 0);
    CHECK(score <= 1);
  }
  CHECK_THROWS(shaken(1)->judge(pictures(1, 32, 32), 2));
}

TEST_CASE("beyond its edge a picture is mirrored, as often as it takes") {
  const at::Tensor x = at::arange(6, at::kFloat).view({1, 1, 2, 3});  // 0 1 2 / 3 4 5
  const at::Tensor wide = mirrored_to(x, 4, 8);
  CHECK(wide.sizes() == at::IntArrayRef({1, 1, 4, 8}));
  CHECK(at::equal(wide[0][0][0], at::tensor({0.f, 1.f, 2.f, 1.f, 0.f, 1.f, 2.f, 1.f})));
  CHECK(at::equal(wide[0][0].select(1, 0), at::tensor({0.f, 3.f, 0.f, 3.f})));
  CHECK(at::equal(mirrored_to(x, 2, 3), x));
  CHECK(at::equal(mirrored_to(x.narrow(2, 0, 1).narrow(3, 1, 1), 3, 2), at::ones({1, 1, 3, 2})));
}

TEST_CASE("shipped model: a row and a column more change the score of a photograph little") {
  at::NoGradGuard no_grad;
  const auto model = load_reward("finpercep-rm", at::kCPU);
  const at::Tensor photo = to_tensor(test::photo(289, 289));
  const double more = model->judge(photo, 4).score.item<double>(),
               even = model->judge(photo.narrow(2, 0, 288).narrow(3, 0, 288), 4).score.item<double>();
  CHECK(std::abs(more - even) < 0.02);
}

TEST_CASE("one pass gives what each stage gives alone; pictures of a batch do not see each other") {
  at::NoGradGuard no_grad;
  const auto model = shaken(4);
  const at::Tensor x = pictures(2, 64, 64);
  const auto all = model->judge_all(x, 4);
  REQUIRE(all.size() == 5);
  for (int64_t k = 0; k <= 4; ++k) {
    CAPTURE(k);
    const Judgement one = model->judge(x, k), alone = model->judge(x.narrow(0, 1, 1), k);
    CHECK(at::equal(one.score, all[k].score));
    CHECK(at::equal(one.map, all[k].map));
    CHECK(largest(alone.score, one.score.narrow(0, 1, 1)) < 1e-5);
    CHECK(largest(alone.map, one.map.narrow(0, 1, 1)) < 1e-4);
    if (k > 0) CHECK(largest(one.map, all[k - 1].map) > 1e-4);
  }
}

TEST_CASE("the score's gradient in the picture is that of a finite difference, and reaches every weight") {
  const auto model = shaken(2);
  model->params.require_grad(true);
  at::Tensor x = pictures(1, 64, 64).mul(0.8).add(0.1).requires_grad_(true);
  model->judge(x, 2).score.sum().backward();
  REQUIRE(x.grad().isfinite().all().item<bool>());
  const double norm = at::linalg_vector_norm(x.grad()).item<double>();
  REQUIRE(norm > 1e-4);
  for (const auto& [name, tensor] : model->params.named()) {
    if (name.starts_with("head.0.") || name.starts_with("head.1.")) continue;
    CAPTURE(name);
    CHECK(tensor.grad().defined());
  }
  at::NoGradGuard no_grad;
  const double step = 3e-2;
  const at::Tensor direction = x.grad() / norm;
  const double above = model->judge(x + step * direction, 2).score.item<double>(),
               below = model->judge(x - step * direction, 2).score.item<double>();
  CAPTURE(norm);
  CHECK((above - below) / (2 * step) == doctest::Approx(norm).epsilon(0.05));
}

TEST_CASE("checkpoint: weights as halves, settings and label facts come back") {
  at::NoGradGuard no_grad;
  const TestFolder folder;
  const auto model = shaken(2);
  const auto path = (folder / "r.safetensors").string();
  save_reward(path, *model, {.label_alpha = 0.7, .label_scale = 0.1234567890123, .label_features = "dinov2"}, {{"training", "x: 1"}});
  RewardFacts facts;
  const auto read = load_reward(path, at::kCPU, &facts);
  CHECK(facts.label_alpha == 0.7);
  CHECK(facts.label_scale == 0.1234567890123);
  CHECK(facts.label_features == "dinov2");
  CHECK(read->settings.stage == 2);
  CHECK(read->settings.widths == model->settings.widths);
  for (std::size_t i = 0; i < model->params.named().size(); ++i)
    REQUIRE(at::equal(read->params.named()[i].second, model->params.named()[i].second.to(at::kHalf).to(at::kFloat)));
  const at::Tensor x = pictures(1, 64, 64);
  CHECK(largest(read->judge(x, 2).map, model->judge(x, 2).map) < 0.02);

  round_to_halves(*model);
  save_reward(path, *model, {}, {});
  CHECK(at::equal(load_reward(path, at::kCPU)->judge(x, 2).score, model->judge(x, 2).score));
  CHECK(test::message_of(ExitCode::model, [&] { Judge({.model = path, .stage = 3, .device = "cpu"}); }).find("stage 0..2") !=
        std::string::npos);
}

TEST_CASE("checkpoint: another stage's weights are a model error") {
  const TestFolder folder;
  const auto two = shaken(2), three = shaken(3);
  TensorFile of_two, of_three;
  put(of_two, two->params.named());
  put(of_three, three->params.named());
  CHECK(test::message_of(ExitCode::model, [&] { load(three->params, of_two, "FILE"); }).find("expected tensor 'level.3.tap.weight'") !=
        std::string::npos);
  CHECK(test::message_of(ExitCode::model, [&] {
          load(two->params, of_three, "FILE");
        }).find("'head.3.hidden.bias' is not part of this net") != std::string::npos);
  const auto path = (folder / "r.safetensors").string();
  write_checkpoint(path, of_two, "reward", to_yaml(three->settings));
  CHECK(test::message_of(ExitCode::model, [&] { load_reward(path, at::kCPU); }).find("expected tensor 'level.3.") != std::string::npos);
  write_checkpoint(path, of_two, "reward", to_yaml(two->settings));
  RewardFacts facts;
  CHECK(test::message_of(ExitCode::model, [&] { load_reward(path, at::kCPU, &facts); }).find("'label_alpha'") != std::string::npos);
  of_two.metadata["label_alpha"] = "half";
  write_checkpoint(path, of_two, "reward", to_yaml(two->settings));
  CHECK(test::message_of(ExitCode::model, [&] { load_reward(path, at::kCPU, &facts); }).find("expected a number, found 'half'") !=
        std::string::npos);
  write_checkpoint(path, of_two, "generator", to_yaml(two->settings));
  CHECK(test::message_of(ExitCode::model, [&] { load_reward(path, at::kCPU); }).find("expected a reward, found a generator") !=
        std::string::npos);
}

TEST_CASE("packed for inference a model judges as before, fp32 to rounding and bf16 nearly; gradients are untouched") {
  const at::Tensor x = pictures(2, 70, 96);
  for (const auto& [dtype, bound] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 0.02}}) {
    if (!can_pack(at::kCPU, dtype)) continue;
    const auto model = shaken(4), packed = shaken(4);
    packed->pack(dtype);
    at::Tensor a = x.clone().requires_grad_(true), b = x.clone().requires_grad_(true);
    model->judge(a, 4).score.sum().backward();
    packed->judge(b, 4).score.sum().backward();
    CHECK(at::equal(a.grad(), b.grad()));
    at::NoGradGuard no_grad;
    for (int64_t k = 0; k <= 4; ++k) {
      CAPTURE(k);
      const Judgement plain = model->judge(x, k), fast = packed->judge(x, k);
      CHECK((fast.map.scalar_type() == at::kFloat));
      CHECK(largest(fast.map, plain.map) < bound);
      CHECK(largest(fast.score, plain.score) < bound);
    }
  }
}

TEST_CASE("judging without LibTorch in sight: the model itself, and the same for any tile") {
  const TestFolder folder;
  const auto model = shaken(4);
  const auto path = (folder / "r.safetensors").string();
  at::NoGradGuard no_grad;
  round_to_halves(*model);
  save_reward(path, *model, {}, {});
  for (const auto& [width, height] : {std::pair{75, 50}, {333, 201}})
    for (int stage = 0; stage <= 4; ++stage) {
      CAPTURE(width);
      CAPTURE(stage);
      const Image photo = test::photo(width, height);
      const Judge judge({.model = path, .stage = stage, .device = "cpu"});
      const Verdict verdict = judge(photo);
      const Judgement j = model->judge(to_tensor(photo), stage);
      CHECK(verdict.score == doctest::Approx(j.score.item<double>()).epsilon(1e-5));
      CHECK(test::largest_difference(verdict.map, to_image(j.map)) < 1e-5f);
      CHECK(verdict.map_max == doctest::Approx(j.map.max().item<double>()));
      CHECK(verdict.map_mean == doctest::Approx(j.map.mean().item<double>()).epsilon(1e-4));
      const Verdict tiled = Judge({.model = path, .stage = stage, .device = "cpu", .tile = 64})(photo);
      CHECK(tiled.score == doctest::Approx(verdict.score).epsilon(1e-5));
      CHECK(test::largest_difference(tiled.map, verdict.map) < 1e-5f);
    }
  const Judge judge({.model = path, .device = "cpu"});
  Image wrong = test::photo(40, 32);
  wrong.data.resize(wrong.plane_size());  // as if it were one plane
  CHECK_THROWS_WITH_AS(judge(wrong), doctest::Contains("1280 values"), Error);
  CHECK_THROWS_AS(judge(Image(40, 32, 1)), Error);
  Image odd = test::photo(40, 32), bytes = odd, centred = odd;
  for (float& v : bytes.data) v *= 255;
  for (float& v : centred.data) v = 4 * v - 2;
  odd.data[70] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(judge(odd), doctest::Contains("found NaN or infinity in 1 of 3840"), Error);
  CHECK_THROWS_WITH_AS(judge(bytes), doctest::Contains("of 0..255: x / 255"), Error);
  CHECK_THROWS_WITH_AS(judge(centred), doctest::Contains("expected RGB in [0,1]"), Error);
}
