// SPDX-License-Identifier: Apache-2.0
// Metrics whose weights no registry carries: their nets on weights by formula against the public Python code (tests/parity).
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/metrics/clipiqa.h"
#include "finpercep/metrics/liqe.h"
#include "finpercep/metrics/musiq.h"
#include "finpercep/nets/efficientnet.h"
#include "finpercep/nets/formula_weights.h"

using namespace finpercep;

namespace {

nlohmann::json fixture_of(const std::string& name) { return nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/" + name)); }

at::Tensor picture_of(const nlohmann::json& c) {
  const int64_t height = c.at("height"), width = c.at("width");
  const auto axis = [](int64_t n) { return at::arange(n, at::kDouble); };
  return (0.5 + 0.5 * at::sin(0.37 * axis(width).view({1, 1, 1, -1}) + 0.61 * axis(height).view({1, 1, -1, 1}) + 1.3 * axis(3).view({1, -1, 1, 1}))).to(at::kFloat);
}

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
    for (const auto& c : model.at("cases")) CHECK(musiq(picture_of(c)).item<double>() == doctest::Approx(c.at("value").get<double>()).epsilon(1e-4));
  }
}

TEST_CASE("LIQE agrees with OpenAI's CLIP code on weights by formula") {
  at::NoGradGuard no_grad;
  const auto fixture = fixture_of("liqe.json");
  const Liqe liqe = Liqe::from(formula_file(fixture.at("tensors")), "formula");
  for (const auto& c : fixture.at("cases")) CHECK(liqe(picture_of(c)).item<double>() == doctest::Approx(c.at("value").get<double>()).epsilon(1e-4));
  CHECK_THROWS_WITH_AS(liqe(at::zeros({1, 3, 223, 300})), doctest::Contains("at least 224"), Error);
}

TEST_CASE("absent weights: the message names the file to supply and the command") {
  if (std::filesystem::exists(weight_cache() / "musiq-koniq.safetensors")) return;
  CHECK_THROWS_WITH_AS(Musiq::load("koniq"), doctest::Contains("supply pyiqa's musiq_koniq_ckpt-*.pth and run `python3 tools/convert_weights.py musiq-koniq FILE`"), Error);
}
