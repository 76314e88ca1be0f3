// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/dit.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/windows.h"

namespace finpercep {

namespace {

constexpr int64_t time_dim = 128, mlp_ratio = 4;

at::Tensor modulated(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  return at::layer_norm(x, {x.size(-1)}) * (1 + scale) + shift;
}

at::Tensor to_picture(const at::Tensor& tokens) { return tokens.permute({0, 3, 1, 2}); }
at::Tensor to_tokens(const at::Tensor& picture) { return picture.permute({0, 2, 3, 1}); }

// x: N x rows x columns x width; time: N x 6 x width.
at::Tensor run(const DiT::Block& block, const at::Tensor& x, const at::Tensor& time, const DiTSettings& s) {
  const auto m = (time + block.table).unsqueeze(1).unsqueeze(1).unbind(3);
  const at::Tensor qkv = block.qkv(modulated(x, m[0], m[1]));
  const at::Tensor h = x + m[2] * block.out(attend_in_windows(qkv, s.window, s.heads, block.offsets, block.shifted));
  const at::Tensor near = to_tokens(block.near(to_picture(modulated(h, m[3], m[4]))));
  return h + m[5] * block.fc2(at::gelu(block.fc1(near), "tanh"));
}

}  // namespace

void DiTSettings::visit(SettingsVisitor& v) {
  v.field("width", width, "channels of a token, a multiple of the heads", {.min = 8, .max = 4096});
  v.field("depth", depth, "blocks", {.min = 1, .max = 64});
  v.field("heads", heads, "heads of attention", {.min = 1, .max = 64});
  v.field("window", window, "side of a window of attention, tokens; even", {.min = 2, .max = 64});
  v.field("patch", patch, "side of a token, pixels", {.min = 1, .max = 16});
}

DiT::DiT(Params& params, const DiTSettings& given) : settings(given) {
  const int64_t c = given.width, folded = 3 * given.patch * given.patch;
  if (c % given.heads != 0)
    throw usage_error(fmt::format("network_g.dit: expected a width that is a multiple of the heads, found {} and {}", c, given.heads));
  if (given.window % 2 != 0) throw usage_error(fmt::format("network_g.dit.window: expected an even number, found {}", given.window));
  time1 = make_linear(params, "time1", time_dim, time_dim);
  time2 = make_linear(params, "time2", time_dim, time_dim);
  modulation = make_linear(params, "modulation", time_dim, 6 * c, 0);
  in = make_conv(params, "in", 2 * folded, c, 3, {.gain = 1});
  for (int64_t i = 0; i < given.depth; ++i) {
    const std::string name = fmt::format("blocks.{}.", i);
    Block block;
    block.qkv = make_linear(params, name + "qkv", c, 3 * c);
    block.out = make_linear(params, name + "out", c, c);
    block.near = make_conv(params, name + "near", c, c, 3, {.groups = c, .gain = 1});
    block.fc1 = make_linear(params, name + "fc1", c, mlp_ratio * c);
    block.fc2 = make_linear(params, name + "fc2", mlp_ratio * c, c);
    block.offsets = params.constant(name + "offsets", {window_offsets(given.window), given.heads}, 0);
    block.table = params.constant(name + "table", {6, c}, 0);
    block.shifted = i % 2 == 1;
    blocks.push_back(std::move(block));
  }
  out_modulation = make_linear(params, "out_modulation", time_dim, 2 * c, 0);
  out = make_conv(params, "out", c, folded, 3, {.gain = 0});
}

at::Tensor DiT::operator()(const at::Tensor& x, const at::Tensor& condition, const at::Tensor& t) const {
  TORCH_CHECK(x.size(-1) % multiple() == 0 && x.size(-2) % multiple() == 0, "DiT: sides must be multiples of ", multiple(), ", found ",
              x.sizes());
  const at::Tensor time = at::silu(time2(at::silu(time1(time_embedding(t, time_dim)))));
  const at::Tensor pictures = at::cat({x, condition}, 1) * 2 - 1;
  at::Tensor h = to_tokens(in(at::pixel_unshuffle(pictures, settings.patch).contiguous(at::MemoryFormat::ChannelsLast)));
  const at::Tensor moved = modulation(time).unflatten(1, {6, settings.width});
  for (const Block& block : blocks) h = run(block, h, moved, settings);
  const auto last = out_modulation(time).unsqueeze(1).unsqueeze(1).chunk(2, 3);
  return condition + at::pixel_shuffle(out(to_picture(modulated(h, last[0], last[1]))).to(at::kFloat), settings.patch);
}

}  // namespace finpercep
