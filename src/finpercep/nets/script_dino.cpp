// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/nets/dino.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/script.h"

namespace finpercep {

namespace {

// attend() of transformer.h.
constexpr const char* attend_method = R"(
def split(self, t: Tensor) -> Tensor:
  return torch.permute(torch.reshape(t, [t.size(0), t.size(1), {heads}, {head}]), [0, 2, 1, 3])
def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
  out = torch.scaled_dot_product_attention(self.split(q), self.split(k), self.split(v))
  return torch.reshape(torch.permute(out, [0, 2, 1, 3]), q.size())
)";

// Rotation of dino.cpp.
constexpr const char* rotary_methods = R"(
def turns(self, count: int, like: Tensor) -> Tensor:
  centre = 2 * (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) / count - 1
  step = torch.arange({frequencies}, dtype=like.dtype, device=like.device) / {frequencies}
  return 6.283185307179586 * centre[:, None] * torch.pow(torch.full_like(step, 0.01), step)
def turn(self, t: Tensor, angle: Tensor) -> Tensor:
  halves = torch.reshape(t, [t.size(0), t.size(1), {heads}, 2, {head} // 2])
  a = halves[:, :, :, 0]
  b = halves[:, :, :, 1]
  turned = torch.stack([a * torch.cos(angle) - b * torch.sin(angle), b * torch.cos(angle) + a * torch.sin(angle)], 3)
  return torch.reshape(turned, t.size())
)";

std::string layer_norm(const LayerNorm& norm, const std::string& name, const std::string& x) {
  const std::string self = "self." + script_name(name);
  return fmt::format("torch.layer_norm({}, [{}], {}_weight, {}_bias, {})", x, norm.weight.size(0), self, self, norm.eps);
}

std::string constant(const at::Tensor& values) {
  std::vector<float> numbers(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  return fmt::format("torch.tensor([{}], dtype=image.dtype, device=image.device)[:, None, None]", fmt::join(numbers, ", "));
}

}  // namespace

std::string tokens_script(const Dino& net, const std::vector<int64_t>& layers, const std::string& prefix) {
  const bool turning = !net.positions.defined();
  const auto with_numbers = [](const char* text) {
    return fmt::format(fmt::runtime(text), fmt::arg("heads", Dino::heads), fmt::arg("head", Dino::width / Dino::heads),
                       fmt::arg("frequencies", Dino::width / Dino::heads / 4));
  };
  const int64_t first = 1 + net.registers;
  const auto self = [&](const char* name) { return "self." + script_name(prefix + name); };
  MethodBody line(with_numbers(attend_method) + (turning ? with_numbers(rotary_methods) : "") +
                  "def tokens(self, image: Tensor) -> List[Tensor]:");
  const auto [mean, deviation] = imagenet_statistics(at::kCPU);
  line(fmt::format("rows = (image.size(2) + {}) // {}", net.patch - 1, net.patch));
  line(fmt::format("columns = (image.size(3) + {}) // {}", net.patch - 1, net.patch));
  line(
      fmt::format("padded = torch.replication_pad2d(image, [0, columns * {0} - image.size(3), 0, rows * {0} - image.size(2)])", net.patch));
  line(fmt::format("padded = (padded - {}) / {}", constant(mean), constant(deviation)));
  line(fmt::format("cells = torch.permute(torch.reshape(padded, [-1, 3, rows, {0}, columns, {0}]), [0, 2, 4, 1, 3, 5])", net.patch));
  line(fmt::format("cells = torch.reshape(cells, [-1, rows * columns, {}])", 3 * net.patch * net.patch));
  line(fmt::format("x = torch.cat([{}.expand([image.size(0), {}, {}]), {}], 1)", self("prefix_tokens"), first, Dino::width,
                   linear_script(prefix + "patches", "cells")));
  if (turning) {
    line("y = self.turns(rows, image)[:, None].expand([rows, columns, -1])");
    line("z = self.turns(columns, image)[None].expand([rows, columns, -1])");
    line(fmt::format("angle = torch.constant_pad_nd(torch.flatten(torch.cat([y, z], 2), 0, 1), [0, 0, {}, 0], 0.0)[:, None]", first));
  } else {
    line(fmt::format("places = torch.permute({}[:, 1:], [0, 2, 1])", self("positions")));
    line("side = int(places.size(2) ** 0.5)");
    line("places = torch.reshape(places, [1, -1, side, side])");
    line("if rows != side or columns != side:");
    line("  places = torch.upsample_bicubic2d(places, [rows, columns], False)");
    line(fmt::format("x = x + torch.cat([{}[:, :1], torch.permute(torch.flatten(places, 2), [0, 2, 1])], 1)", self("positions")));
  }
  line("found: List[Tensor] = []");
  std::size_t taken = 0;
  for (std::size_t i = 0; i < net.blocks.size() && taken < layers.size(); ++i) {
    const TransformerBlock& block = net.blocks[i];
    const std::string name = fmt::format("{}blocks.{}.", prefix, i);
    line(fmt::format("p = torch.chunk({}, 3, 2)", linear_script(name + "qkv", layer_norm(block.norm1, name + "norm1", "x"))));
    const char* attended = turning ? "self.attend(self.turn(p[0], angle), self.turn(p[1], angle), p[2])" : "self.attend(p[0], p[1], p[2])";
    line("x = x + " + linear_script(name + "out", attended));
    const std::string hidden = linear_script(name + "fc", layer_norm(block.norm2, name + "norm2", "x"));
    line("x = x + " + linear_script(name + "project", fmt::format("torch.gelu({})", hidden)));
    if (static_cast<int64_t>(i) + 1 != layers[taken]) continue;
    ++taken;
    line(fmt::format("t = torch.permute({}[:, {}:], [0, 2, 1])", layer_norm(net.norm, prefix + "norm", "x"), first));
    line(fmt::format("found.append(torch.reshape(t, [t.size(0), {}, rows, columns]))", Dino::width));
  }
  line("return found");
  return line.text();
}

}  // namespace finpercep
