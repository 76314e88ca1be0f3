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
constexpr Stage stages[] = {{1, 3, 1, 1, 16},  {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80},
                            {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};
constexpr double bn_eps = 1e-3;

}  // namespace

EfficientNetLite0::EfficientNetLite0(Params& params, const std::string& prefix) {
  stem = make_conv(params, prefix + "stem", 3, 32, 3, {.stride = 2, .tensorflow_same = true});
  int64_t in = 32;
  for (const Stage& stage : stages)
    for (int64_t repeat = 0; repeat < stage.repeats; ++repeat) {
      const std::string name = fmt::format("{}blocks.{}.", prefix, blocks.size());
      const int64_t stride = repeat == 0 ? stage.stride : 1, wide = in * stage.expansion;
      Block block;
      if (stage.expansion > 1) block.expand = make_conv(params, name + "expand", in, wide, 1);
      block.depthwise =
          make_conv(params, name + "depthwise", wide, wide, stage.kernel, {.stride = stride, .groups = wide, .tensorflow_same = true});
      block.project = make_conv(params, name + "project", wide, stage.channels, 1, {.gain = 1});
      block.residual = stride == 1 && in == stage.channels;
      blocks.push_back(block);
      in = stage.channels;
    }
}

namespace {

constexpr int64_t most_held = 16 << 20;  // numbers between the layers of a packed block

at::Tensor run(const EfficientNetLite0::Block& block, const at::Tensor& x) {
  const at::Tensor y = block.depthwise(block.expand.weight.defined() ? block.expand(x, Activation::relu6) : x, Activation::relu6);
  return block.residual ? block.project.added_to(x, y) : block.project(y);
}

// Rows of the result in bands that see four rows more on either side: more than a kernel of 5 reaches, so that the seams are those of the
// whole.
at::Tensor run_in_bands(const EfficientNetLite0::Block& block, const at::Tensor& x) {
  constexpr int64_t seen = 4;
  const int64_t stride = block.depthwise.stride, rows = x.size(2) / stride;
  if (!block.project.packed || at::GradMode::is_enabled()) return run(block, x);
  const int64_t bands = (x.size(0) * block.depthwise.weight.size(0) * x.size(2) * x.size(3) + most_held - 1) / most_held;
  const int64_t band = std::max<int64_t>(8, (rows + bands - 1) / bands);
  if (bands == 1 || band >= rows) return run(block, x);
  at::Tensor out;
  for (int64_t top = 0; top < rows; top += band) {
    const int64_t count = std::min(band, rows - top), from = std::max<int64_t>(0, top * stride - seen),
                  end = std::min(x.size(2), (top + count) * stride + seen);
    const at::Tensor part = run(block, x.narrow(2, from, end - from)).narrow(2, top - from / stride, count);
    if (!out.defined()) out = at::empty({part.size(0), part.size(1), rows, part.size(3)}, part.options(), at::MemoryFormat::ChannelsLast);
    out.narrow(2, top, count).copy_(part);
  }
  return out;
}

}  // namespace

at::Tensor EfficientNetLite0::on_to(int tap, const at::Tensor& x) const {
  at::Tensor y = x;
  for (int i = tap == 0 ? 0 : tap_after_block[tap - 1] + 1; i <= tap_after_block[tap]; ++i) y = run_in_bands(blocks[i], y);
  return y;
}

std::array<at::Tensor, 2> EfficientNetLite0::finest(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) % 8 == 0 && image.size(-2) % 8 == 0, "EfficientNetLite0: sides must be multiples of 8, found ", image.sizes());
  const at::Tensor at_stride_2 = on_to(0, stem(image * (255.0 / 128) - 127.0 / 128, Activation::relu6));
  return {at_stride_2, on_to(1, at_stride_2)};
}

std::array<at::Tensor, 3> EfficientNetLite0::lower(const at::Tensor& image) const {
  const auto fine = finest(image);
  return {fine[0], fine[1], on_to(2, fine[1])};
}

at::Tensor EfficientNetLite0::stride_16(const at::Tensor& at_stride_8) const { return on_to(3, at_stride_8); }

std::array<at::Tensor, 2> EfficientNetLite0::upper(const at::Tensor& at_stride_8) const {
  const at::Tensor at_stride_16 = stride_16(at_stride_8);
  return {at_stride_16, on_to(4, at_stride_16)};
}

std::array<at::Tensor, 5> EfficientNetLite0::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) % 32 == 0 && image.size(-2) % 32 == 0, "EfficientNetLite0: sides must be multiples of 32, found ",
              image.sizes());
  const auto fine = lower(image);
  const auto coarse = upper(fine[2]);
  return {fine[0], fine[1], fine[2], coarse[0], coarse[1]};
}

void EfficientNetLite0::pack(at::ScalarType dtype) {
  stem.pack(dtype);
  for (Block& block : blocks) {
    if (block.expand.weight.defined()) block.expand.pack(dtype);
    block.depthwise.pack(dtype);
    block.project.pack(dtype);
  }
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

}  // namespace finpercep
