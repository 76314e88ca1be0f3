// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/clip_resnet.h"

#include <fmt/format.h>

#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/transformer.h"

namespace finpercep {

namespace {

constexpr std::array<int64_t, 4> layer_blocks = {3, 4, 6, 3};
constexpr double bn_eps = 1e-5;

at::Tensor pool(const at::Tensor& x, int64_t stride) { return stride > 1 ? at::avg_pool2d(x, stride) : x; }

at::Tensor run(const ClipResNet::Block& block, const at::Tensor& x) {
  at::Tensor h = at::relu(block.conv2(at::relu(block.conv1(x))));
  h = block.conv3(pool(h, block.stride));
  return at::relu(h + (block.down.weight.defined() ? block.down(pool(x, block.stride)) : x));
}

}  // namespace

ClipResNet::ClipResNet(Params& params, const std::string& prefix, bool with_pool) {
  int64_t in = 3;
  for (std::size_t i = 0; i < stem.size(); ++i) {
    const int64_t wide = i == 2 ? 64 : 32;
    stem[i] = make_conv(params, fmt::format("{}stem.{}", prefix, i), in, wide, 3, {.stride = i == 0 ? 2 : 1});
    in = wide;
  }
  for (std::size_t layer = 0; layer < layer_blocks.size(); ++layer)
    for (int64_t b = 0; b < layer_blocks[layer]; ++b) {
      const std::string name = fmt::format("{}blocks.{}.", prefix, blocks.size());
      const int64_t narrow = int64_t{64} << layer, wide = 4 * narrow;
      Block block;
      block.stride = b == 0 && layer > 0 ? 2 : 1;
      block.conv1 = make_conv(params, name + "conv1", in, narrow, 1);
      block.conv2 = make_conv(params, name + "conv2", narrow, narrow, 3);
      block.conv3 = make_conv(params, name + "conv3", narrow, wide, 1, {.gain = 1});
      if (in != wide) block.down = make_conv(params, name + "down", in, wide, 1, {.gain = 1});
      blocks.push_back(block);
      in = wide;
    }
  if (!with_pool) return;
  query = make_linear(params, prefix + "pool.query", in, in);
  key = make_linear(params, prefix + "pool.key", in, in);
  value = make_linear(params, prefix + "pool.value", in, in);
  out = make_linear(params, prefix + "pool.out", in, embedding);
}

std::array<at::Tensor, 5> ClipResNet::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) >= min_side && image.size(-2) >= min_side, "ClipResNet: sides must be at least ", min_side, ", found ",
              image.sizes());
  const auto [mean, deviation] = clip_statistics(image.device());
  at::Tensor x = (image - mean) / deviation;
  for (const Conv& conv : stem) x = at::relu(conv(x));
  std::array<at::Tensor, 5> taps;
  taps[0] = x;
  x = at::avg_pool2d(x, 2);
  std::size_t block = 0;
  for (std::size_t layer = 0; layer < layer_blocks.size(); ++layer) {
    for (int64_t b = 0; b < layer_blocks[layer]; ++b) x = run(blocks[block++], x);
    taps[layer + 1] = x;
  }
  return taps;
}

at::Tensor ClipResNet::embed(const at::Tensor& features) const {
  const at::Tensor cells = features.flatten(2).transpose(1, 2);  // N x HW x C
  const at::Tensor mean = cells.mean(1, true), tokens = at::cat({mean, cells}, 1);
  return out(attend(query(mean), key(tokens), value(tokens), heads).squeeze(1));
}

void load_clip(const ClipResNet& net, const TensorFile& file, const std::string& where) {
  const auto number = [](std::size_t i) { return std::to_string(i); };
  for (std::size_t i = 0; i < net.stem.size(); ++i)
    load_folded(net.stem[i], file, where, "visual.conv" + number(i + 1), "visual.bn" + number(i + 1), bn_eps);
  std::size_t next = 0;
  for (std::size_t layer = 0; layer < layer_blocks.size(); ++layer)
    for (int64_t b = 0; b < layer_blocks[layer]; ++b) {
      const auto& block = net.blocks[next++];
      const std::string name = fmt::format("visual.layer{}.{}.", layer + 1, b);
      load_folded(block.conv1, file, where, name + "conv1", name + "bn1", bn_eps);
      load_folded(block.conv2, file, where, name + "conv2", name + "bn2", bn_eps);
      load_folded(block.conv3, file, where, name + "conv3", name + "bn3", bn_eps);
      if (block.down.weight.defined()) load_folded(block.down, file, where, name + "downsample.0", name + "downsample.1", bn_eps);
    }
  if (!net.query.weight.defined()) return;
  at::NoGradGuard no_grad;
  const std::pair<const Linear*, const char*> projections[] = {{&net.query, "q"}, {&net.key, "k"}, {&net.value, "v"}, {&net.out, "c"}};
  for (const auto& [linear, name] : projections) {
    const std::string full = fmt::format("visual.attnpool.{}_proj.", name);
    linear->weight.copy_(tensor_of(file, where, full + "weight", linear->weight.sizes()));
    linear->bias.copy_(tensor_of(file, where, full + "bias", linear->bias.sizes()));
  }
}

}  // namespace finpercep
