// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/unet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr int64_t groups = 8, time_dim = 128;

UNet::Block make_block(Params& params, const std::string& name, int64_t in, int64_t out) {
  UNet::Block block;
  block.norm1 = make_group_norm(params, name + ".norm1", in, groups);
  block.conv1 = make_conv(params, name + ".conv1", in, out, 3, {.gain = 1});
  block.time = make_linear(params, name + ".time", time_dim, 2 * out, 0);
  block.norm2 = make_group_norm(params, name + ".norm2", out, groups);
  block.conv2 = make_conv(params, name + ".conv2", out, out, 3, {.gain = 0});
  if (in != out) block.skip = make_conv(params, name + ".skip", in, out, 1, {.gain = 1});
  return block;
}

at::Tensor run(const UNet::Block& block, const at::Tensor& x, const at::Tensor& time) {
  at::Tensor h = block.conv1(at::silu(block.norm1(x)));
  const auto scale_shift = block.time(time).unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
  h = block.norm2(h) * (1 + scale_shift[0]) + scale_shift[1];
  h = block.conv2(at::silu(h));
  return (block.skip.weight.defined() ? block.skip(x) : x) + h;
}

}  // namespace

void UNetSettings::visit(SettingsVisitor& v) {
  v.field("channels", channels, "channels at each resolution, multiples of 8", {.min = 8, .max = 2048});
  v.field("blocks", blocks, "residual blocks at each resolution, on the way down and up", {.min = 1, .max = 16});
  v.field("unshuffle", unshuffle, "pixels of a side folded into channels before the first convolution", {.min = 1, .max = 8});
}

UNet::UNet(Params& params, const UNetSettings& settings)
    : unshuffle(settings.unshuffle), levels(static_cast<int64_t>(settings.channels.size())), blocks_per_level(settings.blocks) {
  const auto& c = settings.channels;
  if (c.empty() || std::ranges::any_of(c, [](int64_t n) { return n % groups != 0; }))
    throw usage_error(
        fmt::format("network_g.net.channels: expected multiples of {}, at least one, found [{}]", groups, fmt::join(c, ", ")));
  const int64_t folded = 3 * unshuffle * unshuffle;
  time1 = make_linear(params, "time1", time_dim, time_dim);
  time2 = make_linear(params, "time2", time_dim, time_dim);
  in = make_conv(params, "in", 2 * folded, c[0], 3, {.gain = 1});
  for (int64_t level = 0; level < levels; ++level) {
    if (level > 0)
      shrink.push_back(make_conv(params, fmt::format("shrink.{}", level), c[level - 1], c[level], 3, {.stride = 2, .gain = 1}));
    for (int64_t b = 0; b < blocks_per_level; ++b)
      down.push_back(make_block(params, fmt::format("down.{}.{}", level, b), c[level], c[level]));
  }
  for (int64_t b = 0; b < blocks_per_level; ++b) middle.push_back(make_block(params, fmt::format("middle.{}", b), c.back(), c.back()));
  for (int64_t level = levels - 1; level >= 0; --level) {
    if (level < levels - 1) grow.push_back(make_conv(params, fmt::format("grow.{}", level), c[level + 1], c[level], 3, {.gain = 1}));
    for (int64_t b = 0; b < blocks_per_level; ++b)
      up.push_back(make_block(params, fmt::format("up.{}.{}", level, b), b == 0 ? 2 * c[level] : c[level], c[level]));
  }
  out_norm = make_group_norm(params, "out_norm", c[0], groups);
  out = make_conv(params, "out", c[0], folded, 3, {.gain = 0});
}

at::Tensor UNet::operator()(const at::Tensor& x, const at::Tensor& condition, const at::Tensor& t) const {
  TORCH_CHECK(x.size(-1) % multiple() == 0 && x.size(-2) % multiple() == 0, "UNet: sides must be multiples of ", multiple(), ", found ",
              x.sizes());
  const at::Tensor time = at::silu(time2(at::silu(time1(time_embedding(t, time_dim)))));
  const at::Tensor pictures = at::cat({x, condition}, 1) * 2 - 1;
  at::Tensor h = in(at::pixel_unshuffle(pictures, unshuffle).contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<at::Tensor> skips;
  for (int64_t level = 0; level < levels; ++level) {
    if (level > 0) h = shrink[level - 1](h);
    for (int64_t b = 0; b < blocks_per_level; ++b) h = run(down[level * blocks_per_level + b], h, time);
    skips.push_back(h);
  }
  for (const Block& block : middle) h = run(block, h, time);
  for (int64_t step = 0; step < levels; ++step) {
    if (step > 0) h = grow[step - 1](at::upsample_nearest2d(h, at::IntArrayRef{h.size(-2) * 2, h.size(-1) * 2}));
    h = at::cat({h, skips[levels - 1 - step]}, 1);
    for (int64_t b = 0; b < blocks_per_level; ++b) h = run(up[step * blocks_per_level + b], h, time);
  }
  h = out(at::silu(out_norm(h)));
  return condition + at::pixel_shuffle(h.to(at::kFloat), unshuffle);
}

}  // namespace finpercep
