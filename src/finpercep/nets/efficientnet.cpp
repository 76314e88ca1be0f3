// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/efficientnet.h"

#include <fmt/format.h>

#include <cstdlib>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

struct Stage {
  int64_t repeats, kernel, stride, expansion, channels;
};
constexpr Stage stages[] = {{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};
constexpr double bn_eps = 1e-3;
constexpr int tap_after_block[] = {0, 2, 4, 10, 15};  // last block at strides 2, 4, 8, 16, 32

// TensorFlow's SAME padding: with stride 2 and even sizes, k - 2 pixels in all, the larger half right and bottom.
at::Tensor same_conv(const Conv& conv, const at::Tensor& x) {
  if (conv.stride == 1) return conv(x);
  const int64_t total = conv.weight.size(2) - conv.stride, before = total / 2, after = total - before;
  const Conv unpadded{conv.weight, conv.bias, conv.stride, 0, conv.groups};
  return unpadded(at::constant_pad_nd(x, {before, after, before, after}, 0));
}

}  // namespace

EfficientNetLite0::EfficientNetLite0(Params& params, const std::string& prefix) {
  stem = make_conv(params, prefix + "stem", 3, 32, 3, {.stride = 2});
  int64_t in = 32;
  for (const Stage& stage : stages)
    for (int64_t repeat = 0; repeat < stage.repeats; ++repeat) {
      const std::string name = fmt::format("{}blocks.{}.", prefix, blocks.size());
      const int64_t stride = repeat == 0 ? stage.stride : 1, wide = in * stage.expansion;
      Block block;
      if (stage.expansion > 1) block.expand = make_conv(params, name + "expand", in, wide, 1);
      block.depthwise = make_conv(params, name + "depthwise", wide, wide, stage.kernel, {.stride = stride, .groups = wide});
      block.project = make_conv(params, name + "project", wide, stage.channels, 1, {.gain = 1});
      block.residual = stride == 1 && in == stage.channels;
      blocks.push_back(block);
      in = stage.channels;
    }
}

std::array<at::Tensor, 5> EfficientNetLite0::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) % 32 == 0 && image.size(-2) % 32 == 0, "EfficientNetLite0: sides must be multiples of 32, found ", image.sizes());
  std::array<at::Tensor, 5> taps;
  at::Tensor x = at::hardtanh(same_conv(stem, image * (255.0 / 128) - 127.0 / 128), 0, 6);
  int tap = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    at::Tensor y = block.expand.weight.defined() ? at::hardtanh(block.expand(x), 0, 6) : x;
    y = block.project(at::hardtanh(same_conv(block.depthwise, y), 0, 6));
    x = block.residual ? x + y : y;
    if (static_cast<int>(i) == tap_after_block[tap]) taps[tap++] = x;
  }
  return taps;
}

void load_imagenet(const EfficientNetLite0& net, const TensorFile& file, const std::string& where) {
  load_folded(net.stem, file, where, "_conv_stem", "_bn0", bn_eps);
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    const std::string name = fmt::format("_blocks.{}.", i);
    const auto& block = net.blocks[i];
    if (block.expand.weight.defined()) load_folded(block.expand, file, where, name + "_expand_conv", name + "_bn0", bn_eps);
    load_folded(block.depthwise, file, where, name + "_depthwise_conv", name + "_bn1", bn_eps);
    load_folded(block.project, file, where, name + "_project_conv", name + "_bn2", bn_eps);
  }
}

std::filesystem::path weight_cache() {
  if (const char* given = std::getenv("FINPERCEP_CACHE")) return given;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME")) return std::filesystem::path(xdg) / "finpercep";
  if (const char* home = std::getenv("HOME")) return std::filesystem::path(home) / ".cache" / "finpercep";
  return {};
}

std::filesystem::path weight_file(const std::string& name) {
  const std::filesystem::path file = weight_cache() / (name + ".safetensors");
  if (!std::filesystem::exists(file))
    throw model_error(fmt::format("weights: {}: expected the pretrained weights '{}', found no file. run `python3 tools/fetch_weights.py`", file.string(), name));
  return file;
}

}  // namespace finpercep
