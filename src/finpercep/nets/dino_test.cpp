// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/dino.h"

#include <doctest/doctest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/script.h"
#include "finpercep/nets/test_formula_weights.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

nlohmann::json fixture_of(const std::string& name) {
  return nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/" + name));
}

at::Tensor picture(int64_t height, int64_t width) {
  const auto axis = [](int64_t n) { return at::arange(n, at::kDouble); };
  return (0.5 + 0.5 * at::sin(0.37 * axis(width).view({1, 1, 1, -1}) + 0.61 * axis(height).view({1, 1, -1, 1}) +
                              1.3 * axis(3).view({1, -1, 1, 1})))
      .to(at::kFloat);
}

struct Loaded {
  Params params{0};
  Dino net;
  explicit Loaded(DinoVersion version) : net(params, version) {}
};

// Read once; nothing where the weights are not in the cache.
const Dino* pretrained() {
  static std::optional<Loaded> built = []() -> std::optional<Loaded> {
    if (!test::have_weights({"dinov2_vits14"})) return std::nullopt;
    std::optional<Loaded> made(std::in_place, DinoVersion::v2);
    load_pretrained(made->net, DinoVersion::v2);
    return made;
  }();
  return built ? &built->net : nullptr;
}

// The weights of the fixture. Keys have no bias there; tools/convert_weights.py writes zeros.
TensorFile formula_v3() {
  TensorFile file = formula_file(fixture_of("dinov3.json").at("tensors"));
  for (int k = 0; k < 12; ++k) {
    const std::string name = "blocks." + std::to_string(k) + ".attn.qkv.bias";
    at::Tensor bias = from_data(file.tensors.at(name));
    bias.narrow(0, Dino::width, Dino::width).zero_();
    file.tensors[name] = to_data(bias);
  }
  return file;
}

const Dino& by_formula() {
  static const Loaded built = [] {
    Loaded made(DinoVersion::v3);
    load_dino(made.net, formula_v3(), "formula");
    return made;
  }();
  return built.net;
}

void check_tokens(const at::Tensor& tokens, const nlohmann::json& expected) {
  constexpr double tolerance = 1e-3;
  REQUIRE((tokens.sizes().vec() == expected.at("shape").get<std::vector<int64_t>>()));
  const double std = expected.at("std");
  CHECK(std::abs(tokens.mean().item<double>() - expected.at("mean").get<double>()) < tolerance * std);
  CHECK(tokens.std(false).item<double>() == doctest::Approx(std).epsilon(tolerance));
  const at::Tensor flat = tokens.flatten();
  double worst = 0;
  for (std::size_t i = 0; i < expected.at("index").size(); ++i)
    worst = std::max(worst, std::abs(flat[expected.at("index")[i].get<int64_t>()].item<double>() - expected.at("values")[i].get<double>()));
  CHECK(worst < tolerance);
}

void check_case(const Dino& net, const nlohmann::json& c) {
  const at::Tensor x = picture(c.at("height"), c.at("width"));
  std::vector<int64_t> asked;
  for (const auto& layer : c.at("layers")) asked.push_back(layer.at("layer"));
  const auto raw = net.tokens(x, asked, false);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    CAPTURE(asked[i]);
    check_tokens(raw[i], c.at("layers")[i]);
  }
  check_tokens(net.tokens(x)[0], c.at("final"));
}

}  // namespace

TEST_CASE("DINOv2: tokens as onnxruntime gives them on the published file, after some blocks and at the end") {
  at::NoGradGuard no_grad;
  if (!pretrained()) return;
  for (const auto& c : fixture_of("dinov2.json").at("cases")) check_case(*pretrained(), c);
}

TEST_CASE("DINOv3: tokens as Hugging Face's code gives them on weights by formula") {
  at::NoGradGuard no_grad;
  for (const auto& c : fixture_of("dinov3.json").at("cases")) check_case(by_formula(), c);
  TensorFile file = formula_v3();
  file.tensors.erase("storage_tokens");
  const Loaded loaded(DinoVersion::v3);
  CHECK_THROWS_WITH_AS(load_dino(loaded.net, file, "cut.safetensors"),
                       doctest::Contains("cut.safetensors: expected tensor 'storage_tokens'"), Error);
}

TEST_CASE("DINO: a side that is no multiple of the patch is filled by its last row or column; a batch is its pictures") {
  at::NoGradGuard no_grad;
  const Dino& net = by_formula();
  const at::Tensor x = picture(31, 60), filled = at::replication_pad2d(x, {0, 4, 0, 1});
  const auto tokens = net.tokens(x, {2, 12});
  CHECK((tokens[1].sizes() == at::IntArrayRef({1, Dino::width, 2, 4})));
  CHECK(at::equal(tokens[1], net.tokens(filled)[0]));
  CHECK(at::equal(tokens[0], net.tokens(x, {2})[0]));
  CHECK_FALSE(at::allclose(tokens[0], tokens[1]));
  const at::Tensor both = net.tokens(at::cat({x, x.flip(3)}))[0];
  CHECK(at::allclose(both[0], tokens[1][0], 0, 1e-4));
  CHECK((net.tokens(picture(1, 1))[0].sizes() == at::IntArrayRef({1, Dino::width, 1, 1})));
  CHECK_THROWS(net.tokens(x, {}));
  CHECK_THROWS(net.tokens(x, {3, 3}));
  CHECK_THROWS(net.tokens(x, {13}));
}

TEST_CASE("DINOv2 in bf16: tokens point where those of float32 do") {
  at::NoGradGuard no_grad;
  if (!pretrained()) return;
  const at::Tensor x = picture(112, 140), exact = pretrained()->tokens(x)[0];
  const MixedPrecision precision(at::kCPU, at::kBFloat16);
  const at::Tensor rough = pretrained()->tokens(x)[0];
  CHECK((rough.scalar_type() == at::kFloat));
  CHECK(at::cosine_similarity(exact, rough, 1).min().item<double>() > 0.995);
  CHECK_FALSE(at::equal(exact, rough));
}

TEST_CASE("DINOv3 without its file: the message names the file to supply and the command") {
  if (std::filesystem::exists(weight_cache() / "dinov3_vits16.safetensors")) return;
  Loaded loaded(DinoVersion::v3);
  CHECK_THROWS_WITH_AS(load_pretrained(loaded.net, DinoVersion::v3),
                       doctest::Contains("python3 tools/convert_weights.py dinov3_vits16 FILE"), Error);
}

TEST_CASE("in TorchScript it gives the same tokens, on any grid") {
  at::NoGradGuard no_grad;
  const std::vector<int64_t> layers = {3, 9, 12};
  for (const DinoVersion version : {DinoVersion::v2, DinoVersion::v3}) {
    CAPTURE(version == DinoVersion::v2);
    Loaded made(version);
    for (const auto& [name, value] : made.params.named()) value.copy_(formula_tensor(name, value.sizes()));
    std::istringstream bytes(script_file("Tokens", {}, made.params.named(), tokens_script(made.net, layers), "{}"));
    torch::jit::Module module = torch::jit::load(bytes);
    for (const auto& [height, width] : {std::pair(3, 5), std::pair(37, 37)}) {
      const at::Tensor x = picture(height * made.net.patch, width * made.net.patch);
      const auto expected = made.net.tokens(x, layers);
      const auto found = module.run_method("tokens", x).toTensorVector();
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE(found[i].sizes() == expected[i].sizes());
        CHECK((found[i] - expected[i]).abs().max().item<float>() < 1e-3F);
      }
    }
  }
}
