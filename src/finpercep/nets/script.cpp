// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <sstream>

namespace finpercep {

std::string script_name(std::string parameter) {
  std::ranges::replace(parameter, '.', '_');
  return parameter;
}

void take_pictures(MethodBody& line, const std::string& x, const std::string& weight) {
  const auto put = [&](const std::string& statement) { line(fmt::format(fmt::runtime(statement), fmt::arg("x", x))); };
  put("assert {x}.dim() == 4 and {x}.size(1) == 3 and {x}.numel() > 0 and {x}.is_floating_point(), \"expected N x 3 x H x W floats, RGB in "
      "[0,1], no size 0, found \" + str({x}.size()) + (\"\" if {x}.is_floating_point() else \" of whole numbers\")");
  put("outside = torch.logical_or({x}.detach() < -0.25, {x}.detach() > 1.25)");
  put("assert float(outside.float().mean([1, 2, 3]).max()) < 0.05, \"expected RGB in [0,1], found many values far outside: of [-1,1] or "
      "0..255?\"");
  put("{x} = {x}.to(self." + script_name(weight) + ".dtype)");
}

std::string script(const Conv& conv, const std::string& name, const std::string& x, Activation activation) {
  const std::string self = "self." + script_name(name);
  const int64_t p = conv.padding;
  const std::string padded = conv.more_below ? fmt::format("torch.constant_pad_nd({}, [{}, {}, {}, {}], 0.0)", x, p, p + 1, p, p + 1) : x;
  const std::string call = fmt::format("torch.conv2d({}, {}_weight, {}_bias, [{}, {}], [{}, {}], [1, 1], {})", padded, self, self,
                                       conv.stride, conv.stride, conv.more_below ? 0 : p, conv.more_below ? 0 : p, conv.groups);
  switch (activation) {
    case Activation::relu6:
      return fmt::format("torch.hardtanh({}, 0.0, 6.0)", call);
    case Activation::silu:
      return fmt::format("torch.silu({})", call);
    case Activation::none:
      break;
  }
  return call;
}

std::string script(const GroupNorm& norm, const std::string& name, const std::string& x) {
  const std::string self = "self." + script_name(name);
  return fmt::format("torch.group_norm({}, {}, {}_weight, {}_bias, {})", x, norm.groups, self, self, norm.eps);
}

std::string linear_script(const std::string& name, const std::string& x) {
  const std::string self = "self." + script_name(name);
  return fmt::format("torch.linear({}, {}_weight, {}_bias)", x, self, self);
}

std::string script_file(const std::string& type, const NamedTensors& parameters, const NamedTensors& buffers, const std::string& methods,
                        const std::string& facts) {
  torch::jit::Module module(type);
  const auto plain = [](const at::Tensor& tensor) { return tensor.detach().to(at::kCPU, at::kFloat).contiguous(); };
  const auto used = [&](const std::string& name) { return methods.find("self." + script_name(name)) != methods.npos; };
  for (const auto& [name, tensor] : parameters)
    if (used(name)) module.register_parameter(script_name(name), plain(tensor), false);
  for (const auto& [name, tensor] : buffers)
    if (used(name)) module.register_buffer(script_name(name), plain(tensor));
  module.define(methods);
  module.register_attribute("training", c10::BoolType::get(), false);  // what Python's module.eval() sets
  std::ostringstream bytes;
  module.save(bytes, {{"finpercep.json", facts}});
  return std::move(bytes).str();
}

std::string encoder_script(const EfficientNetLite0& net, const std::string& prefix, std::size_t most) {
  MethodBody line("def encoder(self, image: Tensor) -> List[Tensor]:");
  line("x = " + script(net.stem, prefix + "stem", "image * (255.0 / 128) - 127.0 / 128", Activation::relu6));
  std::vector<std::string> taps;
  for (std::size_t i = 0; taps.size() < most; ++i) {
    const auto& block = net.blocks[i];
    const std::string name = fmt::format("{}blocks.{}.", prefix, i);
    line("y = " + (block.expand.weight.defined() ? script(block.expand, name + "expand", "x", Activation::relu6) : "x"));
    line("y = " + script(block.depthwise, name + "depthwise", "y", Activation::relu6));
    line((block.residual ? "x = x + " : "x = ") + script(block.project, name + "project", "y"));
    if (static_cast<int>(i) == EfficientNetLite0::tap_after_block[taps.size()]) {
      taps.push_back(fmt::format("tap{}", taps.size()));
      line(taps.back() + " = x");
    }
  }
  line(fmt::format("return [{}]", fmt::join(taps, ", ")));
  return line.text();
}

}  // namespace finpercep
