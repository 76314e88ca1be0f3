// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/swin.h"

#include <fmt/format.h>

#include "finpercep/nets/windows.h"

namespace finpercep {

namespace {

constexpr int64_t depth = 2, blocks_per_layer = 2;
constexpr double eps = 1e-5;

at::Tensor run(const Swin::Block& block, const at::Tensor& x, int64_t rows, int64_t columns) {
  const at::Tensor qkv = block.qkv(block.norm1(x)).unflatten(1, {rows, columns});
  const at::Tensor h = x + block.out(attend_in_windows(qkv, Swin::window, Swin::heads, block.offsets, block.shifted)).flatten(1, 2);
  return h + block.fc2(at::gelu(block.fc1(block.norm2(h))));
}

}  // namespace

Swin::Swin(Params& params, const std::string& prefix, int64_t dim, int64_t mlp, double factor) : scale(factor) {
  for (int64_t i = 0; i < depth; ++i) {
    Layer layer;
    for (int64_t b = 0; b < blocks_per_layer; ++b) {
      const std::string name = fmt::format("{}layers.{}.blocks.{}.", prefix, i, b);
      layer.blocks.push_back({make_layer_norm(params, name + "norm1", dim, eps), make_layer_norm(params, name + "norm2", dim, eps),
                              make_linear(params, name + "attn.qkv", dim, 3 * dim, 0), make_linear(params, name + "attn.proj", dim, dim, 0),
                              make_linear(params, name + "mlp.fc1", dim, mlp, 0), make_linear(params, name + "mlp.fc2", mlp, dim, 0),
                              params.constant(name + "attn.relative_position_bias_table", {window_offsets(window), heads}, 0), b % 2 == 1});
    }
    layer.conv = make_conv(params, fmt::format("{}layers.{}.conv", prefix, i), dim, dim, 3, {.gain = 0});
    layers.push_back(std::move(layer));
  }
}

at::Tensor Swin::operator()(at::Tensor x, int64_t rows, int64_t columns) const {
  TORCH_CHECK(rows % window == 0 && columns % window == 0 && x.size(1) == rows * columns, "Swin: expected multiples of ", window,
              ", found ", rows, " x ", columns);
  for (const Layer& layer : layers) {
    at::Tensor h = x;
    for (const Block& block : layer.blocks) h = run(block, h, rows, columns);
    h = at::relu(layer.conv(h.transpose(1, 2).unflatten(2, {rows, columns})));
    x = x + scale * h.flatten(2).transpose(1, 2);
  }
  return x;
}

}  // namespace finpercep
