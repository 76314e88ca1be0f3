// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/efficientnet.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

at::Tensor normals(uint64_t item, at::IntArrayRef shape) {
  Random random(5, "nets_test", item);
  return normal_tensor(random, shape);
}

Params two_layers(uint64_t seed) {
  Params params(seed);
  make_conv(params, "a", 4, 6, 3, {.groups = 2});
  make_linear(params, "b", 6, 2);
  return params;
}

}  // namespace

TEST_CASE("parameters: names and shapes in order, values by seed alone") {
  const Params params = two_layers(3), same = two_layers(3), other = two_layers(4);
  const std::vector<std::pair<std::string, std::vector<int64_t>>> expected = {
      {"a.weight", {6, 2, 3, 3}}, {"a.bias", {6}}, {"b.weight", {2, 6}}, {"b.bias", {2}}};
  REQUIRE(params.named().size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(params.named()[i].first == expected[i].first);
    CHECK((params.named()[i].second.sizes().vec() == expected[i].second));
    CHECK(at::equal(params.named()[i].second, same.named()[i].second));
  }
  CHECK_FALSE(at::equal(params.named()[0].second, other.named()[0].second));
  CHECK(params.count() == 108 + 6 + 12 + 2);
  CHECK(params.with_prefix("b.").size() == 2);
  CHECK(params.all().size() == 4);
}

TEST_CASE("parameters: the spread of a layer is gain / sqrt(fan_in), and no name twice") {
  Params params(1);
  const Conv conv = make_conv(params, "c", 64, 64, 3, {.groups = 2});
  CHECK(conv.weight.std().item<double>() == doctest::Approx(std::sqrt(2.0 / (32 * 9))).epsilon(0.02));
  CHECK(std::abs(conv.weight.mean().item<double>()) < 0.002);
  CHECK(conv.padding == 1);
  CHECK(make_conv(params, "zero", 4, 4, 3, {.gain = 0}).weight.abs().max().item<double>() == 0);
  CHECK_THROWS(params.constant("c.bias", {1}, 0));
}

TEST_CASE("parameters: without a seed all are NaN, until they are loaded") {
  Params params(std::nullopt);
  make_conv(params, "a", 4, 6, 3, {.gain = 0});
  make_group_norm(params, "n", 8, 4);
  make_linear(params, "b", 6, 2);
  for (const auto& [name, tensor] : params.named()) CHECK(tensor.isnan().all().item<bool>());
  const auto values = [&](double value) {
    TensorFile file;
    for (const auto& [name, tensor] : params.named()) file.tensors[name] = to_data(at::full_like(tensor, value));
    return file;
  };
  TensorFile file = values(2);
  load(params, file, "FILE");
  for (const auto& [name, tensor] : params.named()) CHECK(tensor.eq(2).all().item<bool>());
  file.tensors.erase("n.bias");
  CHECK(test::message_of(ExitCode::model, [&] { load(params, file, "FILE"); }).find("expected tensor 'n.bias'") != std::string::npos);
}

TEST_CASE("parameters: moving them is seen by the layers that hold them") {
  Params params(1);
  const Linear layer = make_linear(params, "l", 3, 2);
  params.require_grad(true);
  params.to(at::kCPU, at::kDouble);
  CHECK((layer.weight.scalar_type() == at::kDouble));
  CHECK(layer.weight.requires_grad());
  params.require_grad(false, "l.w");
  CHECK_FALSE(layer.weight.requires_grad());
  CHECK(layer.bias.requires_grad());
}

TEST_CASE("loading names the tensor that does not fit") {
  const Params params = two_layers(1);
  TensorFile good;
  put(good, two_layers(2).named(), at::kFloat, "net.");
  load(params, good, "FILE", "net.");
  CHECK(at::equal(params.named()[2].second, two_layers(2).named()[2].second));

  TensorFile file = good;
  file.tensors.erase("net.b.bias");
  std::string message = test::message_of(ExitCode::model, [&] { load(params, file, "FILE", "net."); });
  CHECK(contains(message, "FILE"));
  CHECK(contains(message, "expected tensor 'net.b.bias', not in the file"));

  file = good;
  file.tensors["net.c"] = to_data(at::zeros({1}));
  CHECK(contains(test::message_of(ExitCode::model, [&] { load(params, file, "FILE", "net."); }), "'net.c' is not part of this net"));
  load(params, file, "FILE", "net.", false);
  file.tensors.erase("net.c");
  file.tensors["other.c"] = to_data(at::zeros({1}));
  load(params, file, "FILE", "net.");

  file = good;
  file.tensors["net.b.weight"] = to_data(at::zeros({6, 2}));
  CHECK(contains(test::message_of(ExitCode::model, [&] { load(params, file, "FILE", "net."); }),
                 "'net.b.weight': expected shape [2, 6], found [6, 2]"));

  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    file = good;
    at::Tensor bias = at::zeros({2});
    bias[1].fill_(bad);
    file.tensors["net.b.bias"] = to_data(bias);
    CHECK(contains(test::message_of(ExitCode::model, [&] { load(params, file, "FILE", "net."); }), "'net.b.bias' holds NaN or infinity"));
  }
}

TEST_CASE("a checkpoint of a later format or another kind is refused by name") {
  const TestFolder folder;
  const std::string path = (folder / "later.safetensors").string();
  TensorFile file;
  file.metadata["format"] = "finpercep-2";
  file.metadata["kind"] = "reward";
  write_safetensors(path, file);
  CHECK(contains(test::message_of(ExitCode::model, [&] { read_checkpoint(path, "reward"); }),
                 "later.safetensors: expected format 'finpercep-1', found 'finpercep-2'"));
  write_checkpoint(path, {}, "generator", "");
  CHECK(contains(test::message_of(ExitCode::model, [&] { read_checkpoint(path, "reward"); }), "expected a reward, found a generator"));
}

TEST_CASE("a damaged file in the models folder is left out of the names") {
  const TestFolder folder;
  write_checkpoint(folder / "sound.safetensors", {}, "reward", "");
  write_checkpoint(folder / "other.safetensors", {}, "generator", "");
  write_file(folder / "broken.safetensors", std::string("broken"));
  setenv("FINPERCEP_MODELS", folder.path().c_str(), 1);
  const auto of_kind = shipped_names("reward"), all = shipped_names("");
  const std::string message = test::message_of(ExitCode::model, [] { find_model("soumd", "reward"); });
  unsetenv("FINPERCEP_MODELS");
  CHECK(of_kind == std::vector<std::string>{"sound"});
  CHECK(all == std::vector<std::string>{"broken", "other", "sound"});
  CHECK(contains(message, "one of: sound; found neither. did you mean 'sound'?"));
}

TEST_CASE("half precision round trip: what is read is the nearest half of what was written") {
  const Params params = two_layers(1), read = two_layers(2);
  TensorFile file;
  put(file, params.named(), at::kHalf);
  CHECK(file.tensors.at("a.weight").dtype == DType::f16);
  load(read, parse_safetensors(encode_safetensors(file), "FILE", Checksum::required), "FILE");
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(at::equal(read.named()[i].second, params.named()[i].second.to(at::kHalf).to(at::kFloat)));
    CHECK((read.named()[i].second.scalar_type() == at::kFloat));
  }
  CHECK_FALSE(at::equal(read.named()[0].second, params.named()[0].second));
  for (const at::ScalarType type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
    const at::Tensor value = (normals(1, {3, 2}) * 2).to(type), back = from_data(to_data(value.t()));
    CHECK((back.scalar_type() == type));
    CHECK(at::equal(back, value.t()));
  }
}

TEST_CASE("the time embedding: cosines then sines, from 1000 t down to t / 10") {
  const at::Tensor e = time_embedding(at::tensor({0.0, 0.3}, at::kDouble), 8);
  REQUIRE((e.sizes() == at::IntArrayRef({2, 8})));
  for (int64_t k = 0; k < 4; ++k) {
    const double phase = 300 * std::pow(10000.0, -static_cast<double>(k) / 4);
    CHECK(e[0][k].item<double>() == 1);
    CHECK(e[0][4 + k].item<double>() == 0);
    CHECK(e[1][k].item<double>() == doctest::Approx(std::cos(phase)).epsilon(1e-9));
    CHECK(e[1][4 + k].item<double>() == doctest::Approx(std::sin(phase)).epsilon(1e-9));
  }
}

TEST_CASE("EfficientNet-Lite0: five taps as in the float64 oracle") {
  if (!test::have_weights({"efficientnet_lite0"})) return;
  const std::filesystem::path weights = weight_file("efficientnet_lite0");
  const auto fixture = nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/efficientnet_lite0.json"));
  const int64_t height = fixture.at("height"), width = fixture.at("width");
  at::Tensor image = at::empty({1, 3, height, width}, at::kFloat);
  float* pixel = image.data_ptr<float>();
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        *pixel++ = static_cast<float>(
            0.5 + 0.5 * std::sin(0.37 * static_cast<double>(x) + 0.61 * static_cast<double>(y) + 1.3 * static_cast<double>(c)));

  at::NoGradGuard no_grad;
  Params params(0);
  const EfficientNetLite0 net(params);
  load_imagenet(net, read_safetensors(weights, Checksum::if_present), weights.string());
  const auto taps = net(image);
  REQUIRE(fixture.at("taps").size() == taps.size());
  for (std::size_t k = 0; k < taps.size(); ++k) {
    const auto& expected = fixture.at("taps")[k];
    CAPTURE(expected.at("stride").get<int>());
    REQUIRE((taps[k].sizes().vec() == expected.at("shape").get<std::vector<int64_t>>()));
    CHECK(taps[k].size(1) == EfficientNetLite0::tap_channels[k]);
    const double std = expected.at("std");
    CHECK(std::abs(taps[k].mean().item<double>() - expected.at("mean").get<double>()) < 1e-4 * std);
    CHECK(taps[k].std(false).item<double>() == doctest::Approx(std).epsilon(1e-4));
    const at::Tensor flat = taps[k].flatten();
    for (std::size_t i = 0; i < 8; ++i)
      CHECK(std::abs(flat[expected.at("index")[i].get<int64_t>()].item<double>() - expected.at("values")[i].get<double>()) < 1e-3 * std);
  }
  CHECK_THROWS(net(at::zeros({1, 3, 33, 32})));
}

TEST_CASE("AdamW: two steps by the formula, with decoupled decay") {
  OptimSettings settings;
  settings.weight_decay = 0.1;
  settings.max_grad_norm = 100;
  at::Tensor p = at::tensor({1.0f, -2.0f});
  AdamW adam({p}, settings);
  double value[] = {1, -2}, mean[] = {0, 0}, square[] = {0, 0};
  const float gradients[2][2] = {{0.5f, -3.0f}, {-1.0f, 2.0f}};
  for (int t = 1; t <= 2; ++t) {
    const double lr = 0.01 * t;
    p.mutable_grad() = at::tensor({gradients[t - 1][0], gradients[t - 1][1]});
    const StepReport report = adam.step(lr);
    CHECK(report.grad_norm == doctest::Approx(std::hypot(gradients[t - 1][0], gradients[t - 1][1])));
    CHECK_FALSE(report.skipped);
    CHECK_FALSE(p.grad().defined());
    for (int i = 0; i < 2; ++i) {
      const double g = gradients[t - 1][i];
      mean[i] = 0.9 * mean[i] + 0.1 * g;
      square[i] = 0.99 * square[i] + 0.01 * g * g;
      value[i] -= lr * 0.1 * value[i];
      value[i] -= lr * (mean[i] / (1 - std::pow(0.9, t))) / (std::sqrt(square[i] / (1 - std::pow(0.99, t))) + 1e-8);
      CHECK(p[i].item<double>() == doctest::Approx(value[i]).epsilon(1e-6));
    }
  }
}

TEST_CASE("AdamW: the gradient of all tensors together is scaled down to max_grad_norm") {
  OptimSettings settings;
  settings.max_grad_norm = 1;
  at::Tensor a = at::zeros({1}), b = at::zeros({1}), unused = at::ones({2});
  AdamW adam({a, b, unused}, settings);
  a.mutable_grad() = at::tensor({30.0f});
  b.mutable_grad() = at::tensor({-40.0f});
  CHECK(adam.step(0.1).grad_norm == doctest::Approx(50));
  TensorFile state;
  adam.save(state, "");
  CHECK(from_data(state.tensors.at("mean.0"))[0].item<double>() == doctest::Approx(0.1 * 0.6));
  CHECK(from_data(state.tensors.at("mean.1"))[0].item<double>() == doctest::Approx(-0.1 * 0.8));
  CHECK(at::equal(unused, at::ones({2})));
}

TEST_CASE("AdamW: a gradient that is not finite changes nothing") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    at::Tensor p = at::tensor({1.0f, 2.0f}), fresh = p.clone();
    AdamW adam({p}, {}), other({fresh}, {});
    p.mutable_grad() = at::tensor({0.1f, bad});
    CHECK(adam.step(0.1).skipped);
    CHECK(at::equal(p, at::tensor({1.0f, 2.0f})));
    CHECK_FALSE(p.grad().defined());
    p.mutable_grad() = at::tensor({0.1f, 0.2f});
    fresh.mutable_grad() = at::tensor({0.1f, 0.2f});
    adam.step(0.1);
    other.step(0.1);
    CHECK(at::equal(p, fresh));  // neither moments nor step count saw it
  }
}

TEST_CASE(
    "AdamW: a tensor that gets its first gradient late is then stepped as a fresh one, also after a restart and from states with one count "
    "for all") {
  at::Tensor early = at::ones({1}), late = at::ones({3}), fresh = at::ones({3});
  AdamW adam({early, late}, {});
  const auto step = [](AdamW& optimiser, std::initializer_list<at::Tensor> tensors) {
    for (const at::Tensor& t : tensors) const_cast<at::Tensor&>(t).mutable_grad() = at::full_like(t, 0.3f);
    optimiser.step(0.1);
  };
  for (int i = 0; i < 50; ++i) step(adam, {early});
  CHECK(at::equal(late, fresh));
  AdamW alone({fresh}, {});
  for (int i = 0; i < 4; ++i) {
    TensorFile state;
    adam.save(state, "");
    AdamW again({early, late}, {});
    again.restore(state, "", "FILE");
    step(again, {early, late});
    again.save(state, "");
    adam.restore(state, "", "FILE");
    step(alone, {fresh});
    CHECK(at::allclose(late, fresh, 1e-6, 0));
  }
  TensorFile old;
  alone.save(old, "");
  old.tensors["steps"] = to_data(at::full({}, 4, at::kLong));
  AdamW from_old({fresh}, {});
  from_old.restore(old, "", "FILE");
  at::Tensor same = fresh.clone();
  TensorFile now;
  alone.save(now, "");
  AdamW from_new({same}, {});
  from_new.restore(now, "", "FILE");
  step(from_old, {fresh});
  step(from_new, {same});
  CHECK(at::equal(fresh, same));
}

TEST_CASE("AdamW: saved and restored, it goes on identically") {
  const auto gradient = [](uint64_t step) { return normals(100 + step, {5}); };
  at::Tensor p = at::ones({5});
  AdamW adam({p}, {});
  for (uint64_t i = 0; i < 3; ++i) {
    p.mutable_grad() = gradient(i);
    adam.step(0.05);
  }
  TensorFile state;
  adam.save(state, "adam.");
  at::Tensor q = p.clone();
  AdamW restored({q}, {});
  restored.restore(parse_safetensors(encode_safetensors(state), "FILE", Checksum::required), "adam.", "FILE");
  for (uint64_t i = 3; i < 6; ++i) {
    p.mutable_grad() = gradient(i);
    q.mutable_grad() = gradient(i);
    adam.step(0.05);
    restored.step(0.05);
  }
  CHECK(at::equal(p, q));
  AdamW narrow({at::ones({4})}, {});
  CHECK(contains(test::message_of(ExitCode::model, [&] { narrow.restore(state, "adam.", "FILE"); }), "another shape"));
  CHECK(contains(test::message_of(ExitCode::model, [&] { narrow.restore(state, "none.", "FILE"); }), "'none.mean.0'"));
}

TEST_CASE("the average follows by 1 - decay") {
  const at::Tensor average = at::tensor({1.0f, 2.0f});
  update_ema({average}, {at::tensor({2.0f, 0.0f})}, 0.9);
  CHECK(average[0].item<double>() == doctest::Approx(1.1));
  CHECK(average[1].item<double>() == doctest::Approx(1.8));
}

TEST_CASE("the learning rate: linear rise, cosine fall to the final share") {
  OptimSettings s;
  s.lr = 2;
  s.final_lr_ratio = 0.1;
  CHECK(scheduled_lr(s, 0, 101) == doctest::Approx(2));
  CHECK(scheduled_lr(s, 50, 101) == doctest::Approx(2 * 0.55));
  CHECK(scheduled_lr(s, 100, 101) == doctest::Approx(0.2));
  CHECK(scheduled_lr(s, 0, 1) == doctest::Approx(2));
  s.final_lr_ratio = 1;
  s.warmup_iter = 4;
  for (int64_t i = 0; i < 6; ++i) CHECK(scheduled_lr(s, i, 100) == doctest::Approx(2 * std::min(1.0, static_cast<double>(i + 1) / 4)));
}
