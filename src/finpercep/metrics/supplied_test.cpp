// SPDX-License-Identifier: Apache-2.0
// Metrics whose weights no registry carries: their nets on weights by formula against the public Python code (tests/parity).
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/image/tensor.h"
#include "finpercep/metrics/clipiqa.h"
#include "finpercep/metrics/fid.h"
#include "finpercep/metrics/liqe.h"
#include "finpercep/metrics/maniqa.h"
#include "finpercep/metrics/musiq.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/test_formula_weights.h"

using namespace finpercep;

namespace {

nlohmann::json fixture_of(const std::string& name) {
  return nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/" + name));
}

// The fixture's weights, those with some names times a factor.
TensorFile gained_file(const nlohmann::json& fixture) {
  TensorFile file = formula_file(fixture.at("tensors"));
  for (const auto& [end, factor] : fixture.at("gain").items())
    for (auto& [name, data] : file.tensors)
      if (name.ends_with(end)) data = to_data(from_data(data) * factor.get<double>());
  return file;
}

at::Tensor waves(int64_t height, int64_t width, double fx = 0.37, double fy = 0.61, double phase = 0) {
  const auto axis = [](int64_t n) { return at::arange(n, at::kDouble); };
  return 0.5 + 0.5 * at::sin(fx * axis(width).view({1, 1, 1, -1}) + fy * axis(height).view({1, 1, -1, 1}) +
                             1.3 * axis(3).view({1, -1, 1, 1}) + phase);
}
at::Tensor picture_of(const nlohmann::json& c) { return waves(c.at("height"), c.at("width")).to(at::kFloat); }

void check_summary(const at::Tensor& tensor, const nlohmann::json& expected) {
  REQUIRE((tensor.sizes().vec() == expected.at("shape").get<std::vector<int64_t>>()));
  const double std = expected.at("std");
  CHECK(std::abs(tensor.mean().item<double>() - expected.at("mean").get<double>()) < 1e-4 * std);
  const at::Tensor flat = tensor.flatten();
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(std::abs(flat[expected.at("index")[i].get<int64_t>()].item<double>() - expected.at("values")[i].get<double>()) < 1e-3 * std);
}

}  // namespace

TEST_CASE("CLIP-IQA agrees with OpenAI's CLIP code on weights by formula") {
  at::NoGradGuard no_grad;
  const auto fixture = fixture_of("clipiqa.json");
  const TensorFile file = formula_file(fixture.at("tensors"));
  const ClipIqa pairs = ClipIqa::from(file, "formula", "pairs"), pair = ClipIqa::from(file, "formula", "pair");
  for (const auto& c : fixture.at("cases")) {
    const at::Tensor x = picture_of(c), features = pairs.net(x)[4];
    check_summary(features, c.at("features"));
    check_summary(pairs.net.embed(features), c.at("embedding"));
    CHECK(pairs(x).item<double>() == doctest::Approx(c.at("pairs").get<double>()).epsilon(1e-4));
    CHECK(pair(x).item<double>() == doctest::Approx(c.at("pair").get<double>()).epsilon(1e-4));
  }
  CHECK_THROWS_WITH_AS(pairs(at::zeros({1, 3, 31, 64})), doctest::Contains("at least 32"), Error);
  TensorFile other = file;
  other.tensors.erase("visual.layer2.0.conv1.weight");
  CHECK_THROWS_WITH_AS(ClipIqa::from(other, "cut.safetensors", "pairs"), doctest::Contains("visual.layer2.0.conv1.weight"), Error);
}

TEST_CASE("MUSIQ agrees with pyiqa on weights by formula, with one grade and with ten") {
  at::NoGradGuard no_grad;
  const auto fixture = fixture_of("musiq.json");
  for (const auto& model : fixture.at("models")) {
    const Musiq musiq = Musiq::from(formula_file(model.at("tensors")), "formula");
    for (const auto& c : model.at("cases"))
      CHECK(musiq(picture_of(c)).item<double>() == doctest::Approx(c.at("value").get<double>()).epsilon(1e-4));
  }
}

TEST_CASE("LIQE agrees with OpenAI's CLIP code on weights by formula") {
  at::NoGradGuard no_grad;
  const auto fixture = fixture_of("liqe.json");
  TensorFile file = formula_file(fixture.at("tensors"));
  CHECK_THROWS_WITH_AS(Liqe::from(file, "wordless"), doctest::Contains("text.quality"), Error);
  for (const auto& [prompts, value] : {std::pair<int64_t, const char*>{5, "value"}, {495, "mix"}}) {
    file.tensors["text.quality"] = to_data(formula_tensor("text.quality", {prompts, 512}));
    const Liqe liqe = Liqe::from(file, "formula");
    for (const auto& c : fixture.at("cases"))
      if (c.contains(value)) CHECK(liqe(picture_of(c)).item<double>() == doctest::Approx(c.at(value).get<double>()).epsilon(1e-4));
    CHECK_THROWS_WITH_AS(liqe(at::zeros({1, 3, 223, 300})), doctest::Contains("at least 224"), Error);
  }
}

TEST_CASE("MANIQA agrees with pyiqa on weights by formula, at both factors of its Swin layers") {
  at::NoGradGuard no_grad;
  const auto fixture = fixture_of("maniqa.json");
  const TensorFile file = gained_file(fixture);
  for (const auto& model : fixture.at("models")) {
    const Maniqa maniqa = Maniqa::from(file, "formula", model.at("trained_on"));
    const at::Tensor x = picture_of({{"height", model.at("side")}, {"width", model.at("side")}});
    if (x.size(2) < 224) {
      CHECK(maniqa(x).item<double>() == doctest::Approx(model.at("value").get<double>()).epsilon(1e-4));
      continue;
    }
    const auto [score, weight] = maniqa.patches(x.narrow(2, 0, 224).narrow(3, 0, 224));
    check_summary(score, model.at("score"));
    check_summary(weight, model.at("weight"));
  }
  for (const auto& c : fixture.at("crops"))
    CHECK((Maniqa::crops(c.at("height"), c.at("width")) == c.at("places").get<std::vector<std::pair<int64_t, int64_t>>>()));
  CHECK_THROWS_WITH_AS(Maniqa::from(file, "formula", "live"), doctest::Contains("expected koniq, pipal or kadid"), Error);
  TensorFile other = file;
  other.tensors.erase("swintransformer2.layers.1.blocks.0.attn.relative_position_bias_table");
  CHECK_THROWS_WITH_AS(Maniqa::from(other, "cut.safetensors", "koniq"), doctest::Contains("swintransformer2.layers.1.blocks.0.attn"),
                       Error);
}

TEST_CASE("FID agrees with pytorch-fid's net and clean-fid's resizing and distance on weights by formula") {
  const auto fixture = fixture_of("fid.json");
  TensorFile file = gained_file(fixture);
  const Fid fid = Fid::from(file, "formula");
  std::vector<at::Tensor> features;
  for (const char* set : {"a", "b"}) {
    std::vector<at::Tensor> rows;
    for (const auto& p : fixture.at("sets").at(set))
      rows.push_back(fid.features(Fid::prepare(to_image((at::round(255 * waves(p[0], p[1], p[2], p[3], p[4])) / 255).to(at::kFloat)))));
    features.push_back(at::cat(rows));
    check_summary(features.back(), fixture.at("features").at(set));
  }
  CHECK(frechet_distance(features[0], features[1]) == doctest::Approx(fixture.at("value").get<double>()).epsilon(1e-4));
  CHECK(frechet_distance(features[0], features[0]) < 1e-9);
  file.tensors.erase("Mixed_7c.branch3x3_2b.bn.running_var");
  CHECK_THROWS_WITH_AS(Fid::from(file, "cut.safetensors"), doctest::Contains("Mixed_7c.branch3x3_2b.bn.running_var"), Error);
}

TEST_CASE("the Frechet distance of sets with known answers") {
  Random random(3, "fid_test", 0);
  const at::Tensor x = normal_tensor(random, {40, 6}).to(at::kDouble), few = normal_tensor(random, {4, 6}).to(at::kDouble);
  CHECK(frechet_distance(x, x + 3) == doctest::Approx(6 * 9.0));  // equal covariances: the means alone
  const at::Tensor centred = x - x.mean(0);
  const double power = centred.square().sum().item<double>() / 39;
  CHECK(frechet_distance(centred, 3 * centred) == doctest::Approx(power * 4));  // tr(C + 9 C - 2 * 3 C)
  CHECK(frechet_distance(few, x) == doctest::Approx(frechet_distance(at::cat({few, at::zeros({4, 2}, at::kDouble)}, 1),
                                                                     at::cat({x, at::zeros({40, 2}, at::kDouble)}, 1))));
  CHECK(frechet_distance(few, x) == doctest::Approx(frechet_distance(x, few)));
  const at::Tensor line = at::tensor({0.0, 0.0, 2.0, 0.0}, at::kDouble).view({2, 2}),
                   across = at::tensor({1.0, -1.0, 1.0, 1.0}, at::kDouble).view({2, 2});
  CHECK(frechet_distance(line, across) == doctest::Approx(4));  // singular, orthogonal, equal means: both traces, 2 each, nothing in common
  CHECK_THROWS_WITH_AS(frechet_distance(x.narrow(0, 0, 1), x), doctest::Contains("at least 2 pictures in each set, found 1"), Error);
}

TEST_CASE("absent weights: the message names the file to supply and the command") {
  if (std::filesystem::exists(weight_cache() / "musiq-koniq.safetensors")) return;
  CHECK_THROWS_WITH_AS(
      Musiq::load("koniq"),
      doctest::Contains("supply pyiqa's musiq_koniq_ckpt-*.pth and run `python3 tools/convert_weights.py musiq-koniq FILE`"), Error);
}
