// SPDX-License-Identifier: Apache-2.0
// RRDB and SRVGG: weights taken out of an ncnn graph, and the published nets against ncnn itself (tests/parity/dump_realesrgan.py).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/nets/ncnn_walk.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/rrdb.h"
#include "finpercep/nets/srvgg.h"
#include "finpercep/nets/test_formula_weights.h"

using namespace finpercep;

namespace {

// Writes graphs as the converter to ncnn does: a Split behind each blob that is read more than once is left out, as it changes nothing.
struct GraphWriter {
  NcnnGraph graph;
  std::string put(const std::string& type, std::vector<std::string> inputs, std::map<int, std::vector<double>> params,
                  std::vector<std::vector<float>> weights = {}) {
    const std::string name = fmt::format("{}_{}", type, graph.layers.size());
    graph.layers.push_back({type, name, std::move(inputs), {name}, std::move(params), std::move(weights)});
    return name;
  }
  static std::vector<float> values(const at::Tensor& t) {
    const at::Tensor flat = t.contiguous();
    return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
  }
  std::string conv(const std::string& x, const Conv& conv, bool active) {
    std::map<int, std::vector<double>> params = {
        {0, {double(conv.weight.size(0))}}, {1, {3}}, {4, {1}}, {5, {1}}, {6, {double(conv.weight.numel())}}};
    if (active) params.insert({{9, {2}}, {10, {0.2}}});
    return put("Convolution", {x}, params, {values(conv.weight), values(conv.bias)});
  }
};

NcnnGraph graph_of(const RRDB& net) {
  GraphWriter w;
  const auto input = w.put("Input", {}, {});
  const auto first = w.conv(input, net.first, false);
  w.graph.layers.push_back({"Split", "split", {first}, {"copy", "other"}, {}, {}});
  auto x = first;
  for (const auto& block : net.blocks) {
    const auto before = x;
    for (const auto& dense : block) {
      std::vector<std::string> seen = {x};
      for (int k = 0; k < 4; ++k) seen.push_back(w.conv(k == 0 ? x : w.put("Concat", seen, {}), dense[k], true));
      x = w.put("Eltwise", {w.conv(w.put("Concat", seen, {}), dense[4], false), x}, {{0, {1}}, {1, {0.2, 1}}});
    }
    x = w.put("Eltwise", {x, before}, {{0, {1}}, {1, {0.2, 1}}});
  }
  x = w.put("BinaryOp", {"copy", w.conv(x, net.trunk, false)}, {{0, {0}}});
  for (const Conv& conv : {net.up1, net.up2}) x = w.conv(w.put("Interp", {x}, {{0, {1}}, {1, {2}}, {2, {2}}}), conv, true);
  w.conv(w.conv(x, net.high, true), net.last, false);
  return w.graph;
}

NcnnGraph graph_of(const SRVGG& net) {
  GraphWriter w;
  const auto input = w.put("Input", {}, {});
  auto x = input;
  for (std::size_t k = 0; k < net.slopes.size(); ++k)
    x = w.put("PReLU", {w.conv(x, net.convs[k], false)}, {{0, {double(net.slopes[k].numel())}}}, {GraphWriter::values(net.slopes[k])});
  x = w.put("PixelShuffle", {w.conv(x, net.convs.back(), false)}, {{0, {4}}});
  w.put("BinaryOp", {x, w.put("Interp", {input}, {{0, {1}}, {1, {4}}, {2, {4}}})}, {});
  return w.graph;
}

at::Tensor formula_picture(int64_t height, int64_t width) {
  const auto ramp = [](int64_t n, double by) { return at::arange(n, at::kDouble) * by; };
  const at::Tensor phase = ramp(width, .37).view({1, 1, -1}) + ramp(height, .61).view({1, -1, 1}) + ramp(3, 1.3).view({-1, 1, 1});
  return (0.5 + 0.5 * at::sin(phase)).to(at::kFloat).unsqueeze(0);
}

const RRDBSettings small_rrdb{.features = 8, .growth = 4, .blocks = 2};
const SRVGGSettings small_srvgg{.features = 8, .convs = 3};

}  // namespace

TEST_CASE("RRDB: its weights come out of its own graph, tensor by tensor") {
  at::NoGradGuard no_grad;
  Params one(1), two(std::nullopt);
  const RRDB net(one, small_rrdb, 0.5), read(two, small_rrdb);
  const NcnnGraph graph = graph_of(net);
  const RRDBSettings found = rrdb_settings(graph, "FILE");
  CHECK((found.features == 8 && found.growth == 4 && found.blocks == 2));
  load_ncnn(read, graph, "FILE");
  for (std::size_t i = 0; i < one.named().size(); ++i) CHECK(at::equal(one.named()[i].second, two.named()[i].second));
  const at::Tensor x = formula_picture(5, 7), out = read(x);
  CHECK((out.sizes() == at::IntArrayRef{1, 3, 20, 28}));
  CHECK(at::equal(out, net(x)));
}

TEST_CASE("RRDB: in place for speed or not for gradients, the picture is the same") {
  Params params(1);
  const RRDB net(params, small_rrdb, 0.5);
  const at::Tensor x = formula_picture(6, 5), quick = [&] {
    at::NoGradGuard no_grad;
    return net(x);
  }();
  params.require_grad(true);
  const at::Tensor slow = net(x);
  CHECK((slow - quick).abs().max().item<double>() < 1e-6);
  slow.sum().backward();
  for (const auto& [name, tensor] : params.named()) CHECK(tensor.grad().abs().max().item<double>() > 0);
}

TEST_CASE("SRVGG: its weights come out of its own graph, tensor by tensor") {
  at::NoGradGuard no_grad;
  Params one(1), two(std::nullopt);
  const SRVGG net(one, small_srvgg), read(two, small_srvgg);
  for (std::size_t k = 0; k < net.slopes.size(); ++k) net.slopes[k].add_(formula_noise(fmt::format("{}", k), net.slopes[k].sizes()), 0.1);
  const NcnnGraph graph = graph_of(net);
  const SRVGGSettings found = srvgg_settings(graph, "FILE");
  CHECK((found.features == 8 && found.convs == 3));
  load_ncnn(read, graph, "FILE");
  for (std::size_t i = 0; i < one.named().size(); ++i) CHECK(at::equal(one.named()[i].second, two.named()[i].second));
  CHECK((read(formula_picture(5, 7)).sizes() == at::IntArrayRef{1, 3, 20, 28}));
}

TEST_CASE("SRVGG in bf16 adds to the picture as it is, not as bf16 has it") {
  at::NoGradGuard no_grad;
  Params params(1);
  const SRVGG net(params, small_srvgg);
  for (const at::Tensor& value : params.all()) value.zero_();
  params.to(at::kCPU, at::kBFloat16);
  const at::Tensor lr = formula_picture(5, 7);
  CHECK(at::equal(net(lr), at::upsample_nearest2d(lr, at::IntArrayRef{20, 28})));
}

TEST_CASE("the compiled nets give the nets' pictures, of any size and several at once") {
  at::NoGradGuard no_grad;
  Params one(1), two(2);
  const RRDB rrdb(one, {.features = 16, .growth = 8, .blocks = 2}, 0.7);
  const SRVGG srvgg(two, small_srvgg);
  for (const auto& [name, tensor] : one.named())
    if (tensor.dim() == 1) tensor.copy_(formula_noise(name, tensor.sizes()) * 0.1);
  for (const auto& [name, tensor] : two.named())
    if (tensor.dim() == 1) tensor.add_(formula_noise(name, tensor.sizes()), 0.1);
  const auto fast_rrdb = compiled(rrdb), fast_srvgg = compiled(srvgg);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {5, 7}, {8, 12}, {37, 50}}) {
    CAPTURE(height);
    const at::Tensor x = at::cat({formula_picture(height, width), 1 - formula_picture(height, width)});
    CHECK((fast_rrdb(x) - rrdb(x)).abs().max().item<double>() < 2e-4 * rrdb(x).abs().max().item<double>());
    CHECK((fast_srvgg(x) - srvgg(x)).abs().max().item<double>() < 2e-4 * srvgg(x).abs().max().item<double>());
  }
}

TEST_CASE("a graph that computes something else is refused by the layer that differs") {
  Params params(1);
  const RRDB net(params, small_rrdb);
  const NcnnGraph good = graph_of(net);
  const auto said = [&](auto change) {
    NcnnGraph graph = good;
    change(graph.layers);
    return test::message_of(ExitCode::model, [&] { load_ncnn(net, graph, "FILE"); });
  };
  using Layers = std::vector<NcnnLayer>;
  const auto first_of = [](Layers& layers, const std::string& type) -> NcnnLayer& {
    return *std::ranges::find_if(layers, [&](const NcnnLayer& layer) { return layer.type == type; });
  };
  CHECK(said([](Layers&) {}) == "");
  CHECK(said([&](Layers& l) { first_of(l, "Convolution").params[3] = {2}; }).find("stride: expected 1, found 2") != std::string::npos);
  CHECK(said([&](Layers& l) { first_of(l, "Convolution").params[9] = {2}; }).find("activation") != std::string::npos);
  CHECK(said([&](Layers& l) { first_of(l, "Convolution").params[5] = {0}; }).find("bias") != std::string::npos);
  CHECK(said([&](Layers& l) { first_of(l, "Convolution").weights[0].pop_back(); }).find("weights: expected 216, found 215") !=
        std::string::npos);
  CHECK(said([&](Layers& l) {
          first_of(l, "Eltwise").params[1] = {0.1, 1};
        }).find("coefficient: expected 0.2, found 0.1") != std::string::npos);
  CHECK(said([&](Layers& l) {
          std::swap(first_of(l, "Concat").inputs[0], first_of(l, "Concat").inputs[1]);
        }).find("expected a Concat on") != std::string::npos);
  CHECK(said([&](Layers& l) { first_of(l, "Interp").params[0] = {2}; }).find("kind (1: nearest)") != std::string::npos);
  CHECK(said([&](Layers& l) {
          l.push_back({"PReLU", "extra", l.back().outputs, {"x"}, {}, {{0.f}}});
        }).find("found layer 'extra' besides") != std::string::npos);
  CHECK(said([&](Layers& l) { l.push_back(l.back()); }).find("found a second") != std::string::npos);
  CHECK(test::message_of(ExitCode::model, [&] { rrdb_settings({}, "FILE"); }).find("expected an RRDBNet") != std::string::npos);
  CHECK(test::message_of(ExitCode::model, [&] { srvgg_settings(good, "FILE"); }).find("expected an SRVGGNet") != std::string::npos);
}

TEST_CASE("parity with ncnn: the published nets on the fixture's picture") {
  at::NoGradGuard no_grad;
  std::ifstream in(FINPERCEP_SOURCE_DIR "/tests/parity/realesrgan.json");
  const nlohmann::json fixture = nlohmann::json::parse(in);
  for (const auto& model : fixture.at("models")) {
    const std::string name = model.at("name");
    std::filesystem::path file;
    try {
      file = ncnn_weight_file(name);
    } catch (const Error& error) {
      MESSAGE("skipped: " << error.what());
      continue;
    }
    const NcnnGraph graph = read_ncnn(file);
    const at::Tensor x = formula_picture(fixture.at("height"), fixture.at("width"));
    Params params(std::nullopt);
    at::Tensor out, fast;
    if (layer_count(graph, "PReLU") > 0) {
      const SRVGG net(params, srvgg_settings(graph, name));
      load_ncnn(net, graph, name);
      out = net(x);
      fast = compiled(net)(x);
    } else {
      const RRDB net(params, rrdb_settings(graph, name));
      load_ncnn(net, graph, name);
      out = net(x);
      fast = compiled(net)(x);
    }
    const auto& expected = model.at("output");
    CAPTURE(name);
    CHECK((fast - out).abs().max().item<double>() < 1e-3);
    CHECK(out.sizes().vec() == expected.at("shape").get<std::vector<int64_t>>());
    CHECK(out.mean().item<double>() == doctest::Approx(expected.at("mean").get<double>()).epsilon(1e-4));
    CHECK(out.std(false).item<double>() == doctest::Approx(expected.at("std").get<double>()).epsilon(1e-4));
    const at::Tensor flat = out.flatten();
    for (std::size_t i = 0; i < expected.at("index").size(); ++i)
      CHECK(std::abs(flat[expected.at("index")[i].get<int64_t>()].item<double>() - expected.at("values")[i].get<double>()) < 2e-4);
  }
}
