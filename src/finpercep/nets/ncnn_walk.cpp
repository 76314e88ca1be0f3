// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/ncnn_walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

std::string key_of(const std::string& type, const std::vector<std::string>& inputs) {
  return fmt::format("{} {}", type, fmt::join(inputs, " "));
}

Error misfit(const std::string& where, const std::string& what) {
  return model_error(fmt::format("ncnn: {}: {}. the graph is that of another net than its name says", where, what));
}

}  // namespace

NcnnWalk::NcnnWalk(const NcnnGraph& graph, std::string where) : where_(std::move(where)) {
  std::map<Blob, Blob> source;  // output of a Split -> what it copies
  for (const NcnnLayer& layer : graph.layers) {
    std::vector<Blob> inputs;
    for (const Blob& blob : layer.inputs) inputs.push_back(source.contains(blob) ? source[blob] : blob);
    if (layer.type == "Split" && inputs.size() == 1) {
      for (const Blob& blob : layer.outputs) source[blob] = inputs[0];
    } else if (layer.outputs.size() != 1) {
      throw misfit(where_, fmt::format("layer '{}': expected one output, found {}", layer.name, layer.outputs.size()));
    } else if (layer.type == "Input" && input_.empty()) {
      input_ = layer.outputs[0];
    } else if (!layers_.emplace(key_of(layer.type, inputs), &layer).second) {
      throw misfit(where_, fmt::format("layer '{}': expected one {} on its inputs, found a second", layer.name, layer.type));
    }
  }
}

const NcnnLayer& NcnnWalk::take(const std::string& type, const std::vector<Blob>& inputs) {
  const auto found = layers_.find(key_of(type, inputs));
  if (found == layers_.end()) throw misfit(where_, fmt::format("expected a {} on '{}', found none", type, fmt::join(inputs, "', '")));
  const NcnnLayer& layer = *found->second;
  layers_.erase(found);
  return layer;
}

void NcnnWalk::expect(const NcnnLayer& layer, const std::string& what, double expected, double found) const {
  if (std::abs(expected - found) > 1e-6)
    throw misfit(where_, fmt::format("layer '{}': {}: expected {}, found {}", layer.name, what, expected, found));
}

void NcnnWalk::copy(const NcnnLayer& layer, std::size_t which, const at::Tensor& to) const {
  const std::vector<float>& values = layer.weights.at(which);
  expect(layer, "weights", static_cast<double>(to.numel()), static_cast<double>(values.size()));
  at::NoGradGuard no_grad;
  to.copy_(at::from_blob(const_cast<float*>(values.data()), to.sizes(), at::kFloat));
}

NcnnWalk::Blob NcnnWalk::conv(const Blob& x, const Conv& to, double slope) {
  const NcnnLayer& layer = take("Convolution", {x});
  const auto side = static_cast<double>(to.weight.size(2)), padding = static_cast<double>(to.padding);
  expect(layer, "output channels", static_cast<double>(to.weight.size(0)), layer.number(0, 0));
  expect(layer, "kernel width", side, layer.number(1, 0));
  expect(layer, "kernel height", side, layer.number(11, layer.number(1, 0)));
  for (const int id : {2, 12}) expect(layer, "dilation", 1, layer.number(id, 1));
  for (const int id : {3, 13}) expect(layer, "stride", 1, layer.number(id, 1));
  expect(layer, "padding", padding, layer.number(4, 0));
  for (const int id : {14, 15, 16}) expect(layer, "padding", padding, layer.number(id, padding));
  expect(layer, "bias", 1, layer.number(5, 0));
  const auto list = layer.params.find(10);
  expect(layer, "activation (2: leaky ReLU)", slope == 1 ? 0 : 2, layer.number(9, 0));
  expect(layer, "slope", slope, slope == 1 ? 1 : list == layer.params.end() || list->second.size() != 1 ? 0 : list->second[0]);
  copy(layer, 0, to.weight);
  copy(layer, 1, to.bias);
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::prelu(const Blob& x, const at::Tensor& slopes) {
  const NcnnLayer& layer = take("PReLU", {x});
  copy(layer, 0, slopes);
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::concat(const std::vector<Blob>& parts) {
  const NcnnLayer& layer = take("Concat", parts);
  expect(layer, "axis (0: channels)", 0, layer.number(0, 0));
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::add(const Blob& a, const Blob& b) {
  const NcnnLayer& layer = take("BinaryOp", {a, b});
  expect(layer, "operation (0: add)", 0, layer.number(0, 0));
  expect(layer, "scalar operand", 0, layer.number(1, 0));
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::scaled_add(const Blob& a, double scale, const Blob& b) {
  const NcnnLayer& layer = take("Eltwise", {a, b});
  expect(layer, "operation (1: sum)", 1, layer.number(0, 0));
  const auto list = layer.params.find(1);
  if (list == layer.params.end() || list->second.size() != 2)
    throw misfit(where_, fmt::format("layer '{}': expected two coefficients", layer.name));
  expect(layer, "coefficient", scale, list->second[0]);
  expect(layer, "coefficient", 1, list->second[1]);
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::nearest(const Blob& x, int factor) {
  const NcnnLayer& layer = take("Interp", {x});
  expect(layer, "kind (1: nearest)", 1, layer.number(0, 0));
  for (const int id : {1, 2}) expect(layer, "factor", factor, layer.number(id, 0));
  for (const int id : {3, 4}) expect(layer, "fixed size", 0, layer.number(id, 0));
  return layer.outputs[0];
}

NcnnWalk::Blob NcnnWalk::pixel_shuffle(const Blob& x, int factor) {
  const NcnnLayer& layer = take("PixelShuffle", {x});
  expect(layer, "factor", factor, layer.number(0, 1));
  expect(layer, "mode", 0, layer.number(1, 0));
  return layer.outputs[0];
}

void NcnnWalk::finish(const Blob& out) const {
  if (!layers_.empty())
    throw misfit(where_, fmt::format("expected '{}' to be the output, found layer '{}' besides", out, layers_.begin()->second->name));
}

int64_t layer_count(const NcnnGraph& graph, const std::string& type) {
  return std::ranges::count_if(graph.layers, [&](const NcnnLayer& layer) { return layer.type == type; });
}

}  // namespace finpercep
