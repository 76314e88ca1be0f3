// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/script_restore.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace finpercep {

namespace {

// How a net that sees noise begins, behind the methods that it calls.
MethodBody noisy_net(const std::string& methods = "") {
  MethodBody line(methods + "def net(self, x: Tensor, y: Tensor, step_time: Tensor) -> Tensor:");
  line(fmt::format("time = torch.silu({})", linear_script("time2", fmt::format("torch.silu({})", linear_script("time1", "step_time")))));
  return line;
}

void add_block(MethodBody& line, const UNet::Block& block, const std::string& name) {
  line("b = " + script(block.conv1, name + ".conv1", fmt::format("torch.silu({})", script(block.norm1, name + ".norm1", "h"))));
  line(fmt::format("moved = torch.chunk({}[:, :, None, None], 2, 1)", linear_script(name + ".time", "time")));
  line(fmt::format("b = {} * (1 + moved[0]) + moved[1]", script(block.norm2, name + ".norm2", "b")));
  line("b = " + script(block.conv2, name + ".conv2", "torch.silu(b)"));
  line(fmt::format("h = {} + b", block.skip.weight.defined() ? script(block.skip, name + ".skip", "h") : "h"));
}

void add_dense(MethodBody& line, const RRDB::Dense& dense, const std::string& name) {
  std::vector<std::string> seen = {"d"};
  for (int k = 0; k < 4; ++k) {
    line(fmt::format("d{} = torch.leaky_relu({}, 0.2)", k,
                     script(dense[k], fmt::format("{}.{}", name, k), fmt::format("torch.cat([{}], 1)", fmt::join(seen, ", ")))));
    seen.push_back(fmt::format("d{}", k));
  }
  line(fmt::format("d = d + 0.2 * {}", script(dense[4], name + ".4", fmt::format("torch.cat([{}], 1)", fmt::join(seen, ", ")))));
}

std::string doubled(const std::string& x) { return fmt::format("torch.upsample_nearest2d({0}, [{0}.size(2) * 2, {0}.size(3) * 2])", x); }

// windows.cpp's attention; `side`, half of it and `heads` are written in.
constexpr const char* window_methods = R"(
def into_windows(self, x: Tensor) -> Tensor:
  w = torch.reshape(x, [x.size(0), x.size(1) // {side}, {side}, x.size(2) // {side}, {side}, x.size(3)])
  return torch.reshape(torch.permute(w, [0, 1, 3, 2, 4, 5]), [-1, {side} * {side}, x.size(3)])
def regions(self, n: int, like: Tensor) -> Tensor:
  place = torch.arange(n, device=like.device)
  return (place >= n - {side}).to(place.dtype) + (place >= n - {half}).to(place.dtype)
def attend(self, qkv: Tensor, offsets: Tensor, shifted: bool) -> Tensor:
  rows = qkv.size(1)
  columns = qkv.size(2)
  cell = torch.arange({side} * {side}, device=qkv.device)
  row = torch.div(cell, {side}, rounding_mode="floor")
  column = cell - row * {side}
  index = (row[:, None] - row[None] + {side} - 1) * (2 * {side} - 1) + column[:, None] - column[None] + {side} - 1
  bias = torch.permute(torch.reshape(torch.index_select(offsets, 0, torch.flatten(index)), [{side} * {side}, {side} * {side}, {heads}]), [2, 0, 1])[None]
  seen = qkv
  if shifted:
    region = self.into_windows((self.regions(rows, qkv)[:, None] * 3 + self.regions(columns, qkv)[None])[None, :, :, None])[:, :, 0]
    apart = (region[:, None] != region[:, :, None]).to(qkv.dtype) * -100.0
    bias = (bias + apart[:, None]).repeat([qkv.size(0), 1, 1, 1])
    seen = torch.roll(qkv, [-{half}, -{half}], [1, 2])
  w = self.into_windows(seen)
  parts = torch.permute(torch.reshape(w, [w.size(0), w.size(1), 3, {heads}, w.size(2) // (3 * {heads})]), [2, 0, 3, 1, 4])
  out = torch.scaled_dot_product_attention(parts[0], parts[1], parts[2], bias.expand([w.size(0), -1, -1, -1]))
  tokens = torch.reshape(torch.permute(out, [0, 2, 1, 3]), [-1, rows // {side}, columns // {side}, {side}, {side}, w.size(2) // 3])
  tokens = torch.reshape(torch.permute(tokens, [0, 1, 3, 2, 4, 5]), [-1, rows, columns, w.size(2) // 3])
  if shifted:
    tokens = torch.roll(tokens, [{half}, {half}], [1, 2])
  return tokens
)";

std::string modulated(const std::string& x, const std::string& shift, const std::string& scale) {
  return fmt::format("torch.layer_norm({0}, [{0}.size(3)]) * (1 + {2}) + {1}", x, shift, scale);
}

std::string as_picture(const std::string& tokens) { return fmt::format("torch.permute({}, [0, 3, 1, 2])", tokens); }
std::string as_tokens(const std::string& picture) { return fmt::format("torch.permute({}, [0, 2, 3, 1])", picture); }

}  // namespace

std::string script(const UNet& net) {
  MethodBody line = noisy_net();
  line("h = " + script(net.in, "in", fmt::format("torch.pixel_unshuffle(torch.cat([x, y], 1) * 2 - 1, {})", net.unshuffle)));
  const auto blocks = [&](const std::vector<UNet::Block>& of, int64_t first, const std::string& name) {
    for (int64_t b = 0; b < net.blocks_per_level; ++b) add_block(line, of[first + b], fmt::format("{}.{}", name, b));
  };
  for (int64_t level = 0; level < net.levels; ++level) {
    if (level > 0) line("h = " + script(net.shrink[level - 1], fmt::format("shrink.{}", level), "h"));
    blocks(net.down, level * net.blocks_per_level, fmt::format("down.{}", level));
    line(fmt::format("skip{} = h", level));
  }
  blocks(net.middle, 0, "middle");
  for (int64_t level = net.levels - 1, step = 0; level >= 0; --level, ++step) {
    if (step > 0) line("h = " + script(net.grow[step - 1], fmt::format("grow.{}", level), doubled("h")));
    line(fmt::format("h = torch.cat([h, skip{}], 1)", level));
    blocks(net.up, step * net.blocks_per_level, fmt::format("up.{}", level));
  }
  line("h = " + script(net.out, "out", fmt::format("torch.silu({})", script(net.out_norm, "out_norm", "h"))));
  line(fmt::format("return y + torch.pixel_shuffle(h, {})", net.unshuffle));
  return line.text();
}

std::string script(const DiT& net) {
  MethodBody line = noisy_net(fmt::format(fmt::runtime(window_methods), fmt::arg("side", net.settings.window),
                                          fmt::arg("half", net.settings.window / 2), fmt::arg("heads", net.settings.heads)));
  line("h = " +
       as_tokens(script(net.in, "in", fmt::format("torch.pixel_unshuffle(torch.cat([x, y], 1) * 2 - 1, {})", net.settings.patch))));
  line(fmt::format("moved = torch.reshape({}, [-1, 6, {}])", linear_script("modulation", "time"), net.settings.width));
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    const DiT::Block& block = net.blocks[i];
    const std::string name = fmt::format("blocks.{}.", i), self = "self." + script_name(name);
    line(fmt::format("m = torch.unbind((moved + {}table)[:, None, None], 3)", self));
    line(fmt::format("a = self.attend({}, {}offsets, {})", linear_script(name + "qkv", modulated("h", "m[0]", "m[1]")), self,
                     block.shifted ? "True" : "False"));
    line(fmt::format("h = h + m[2] * {}", linear_script(name + "out", "a")));
    line(fmt::format("near = {}", as_tokens(script(block.near, name + "near", as_picture(modulated("h", "m[3]", "m[4]"))))));
    line(fmt::format("h = h + m[5] * {}", linear_script(name + "fc2", fmt::format("torch.gelu({}, approximate=\"tanh\")",
                                                                                  linear_script(name + "fc1", "near")))));
  }
  line(fmt::format("last = torch.chunk({}[:, None, None], 2, 3)", linear_script("out_modulation", "time")));
  line(fmt::format("return y + torch.pixel_shuffle({}, {})", script(net.out, "out", as_picture(modulated("h", "last[0]", "last[1]"))),
                   net.settings.patch));
  return line.text();
}

std::string script(const RRDB& net) {
  MethodBody line("def net(self, lr: Tensor) -> Tensor:");
  line("shallow = " + script(net.first, "first", "lr"));
  line("h = shallow");
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    line("d = h");
    for (std::size_t d = 0; d < 3; ++d) add_dense(line, net.blocks[b][d], fmt::format("blocks.{}.{}", b, d));
    line("h = h + 0.2 * d");
  }
  line("h = shallow + " + script(net.trunk, "trunk", "h"));
  line(fmt::format("h = torch.leaky_relu({}, 0.2)", script(net.up1, "up1", doubled("h"))));
  line(fmt::format("h = torch.leaky_relu({}, 0.2)", script(net.up2, "up2", doubled("h"))));
  line(fmt::format("h = torch.leaky_relu({}, 0.2)", script(net.high, "high", "h")));
  line("return " + script(net.last, "last", "h"));
  return line.text();
}

std::string script(const SRVGG& net) {
  MethodBody line("def net(self, lr: Tensor) -> Tensor:");
  line("h = lr");
  for (std::size_t k = 0; k < net.slopes.size(); ++k)
    line(fmt::format("h = torch.prelu({}, self.slopes_{})", script(net.convs[k], fmt::format("convs.{}", k), "h"), k));
  const std::size_t last = net.slopes.size();
  line(fmt::format("h = torch.pixel_shuffle({}, {})", script(net.convs[last], fmt::format("convs.{}", last), "h"), net.scale));
  line(fmt::format("return h + torch.upsample_nearest2d(lr, [lr.size(2) * {0}, lr.size(3) * {0}])", net.scale));
  return line.text();
}

}  // namespace finpercep
