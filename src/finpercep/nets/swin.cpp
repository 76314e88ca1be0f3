// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/swin.h"

#include <fmt/format.h>

namespace finpercep {

namespace {

constexpr int64_t depth = 2, blocks_per_layer = 2, side = Swin::window, cells = side * side, reach = 2 * side - 1, shift = side / 2;
constexpr double eps = 1e-5, forbidden = -100;  // logits of tokens that only the shift made neighbours

// N x H x W x C to N * windows x cells x C, and back.
at::Tensor into_windows(const at::Tensor& x) {
  return x.unflatten(1, {x.size(1) / side, side})
      .unflatten(3, {x.size(2) / side, side})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, cells, x.size(3)});
}
at::Tensor out_of_windows(const at::Tensor& w, int64_t rows, int64_t columns) {
  return w.view({-1, rows / side, columns / side, side, side, w.size(2)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, rows, columns, w.size(2)});
}

// heads x cells x cells from the table of offsets.
at::Tensor offsets_of(const at::Tensor& table) {
  const at::Tensor cell = at::arange(cells, at::TensorOptions(at::kLong).device(table.device()));
  const at::Tensor row = at::floor_divide(cell, side), column = cell - row * side;
  const auto apart = [](const at::Tensor& t) { return t.unsqueeze(1) - t.unsqueeze(0) + (side - 1); };
  const at::Tensor index = (apart(row) * reach + apart(column)).flatten();
  return table.index_select(0, index).view({cells, cells, table.size(1)}).permute({2, 0, 1});
}

// windows x cells x cells: after the roll the last window of a row or column holds two regions that do not touch.
at::Tensor shift_mask(int64_t rows, int64_t columns, const at::TensorOptions& options) {
  const auto regions = [&](int64_t n) {
    const at::Tensor place = at::arange(n, options);
    return place.ge(n - side).to(options.dtype()) + place.ge(n - shift).to(options.dtype());
  };
  const at::Tensor region = (regions(rows).unsqueeze(1) * 3 + regions(columns)).view({1, rows, columns, 1});
  const at::Tensor of_cell = into_windows(region).squeeze(2);
  return (of_cell.unsqueeze(1) != of_cell.unsqueeze(2)).to(options.dtype()) * forbidden;
}

at::Tensor run(const Swin::Block& block, const at::Tensor& x, int64_t rows, int64_t columns) {
  at::Tensor h = block.norm1(x).unflatten(1, {rows, columns});
  at::Tensor bias = offsets_of(block.offsets).unsqueeze(0);  // 1 x heads x cells x cells
  if (block.shifted) {
    h = at::roll(h, {-shift, -shift}, {1, 2});
    bias = (bias + shift_mask(rows, columns, h.options()).unsqueeze(1)).repeat({x.size(0), 1, 1, 1});
  }
  const auto qkv = block.qkv(into_windows(h)).chunk(3, 2);
  h = out_of_windows(block.out(attend(qkv[0], qkv[1], qkv[2], Swin::heads, bias.expand({qkv[0].size(0), -1, -1, -1}))), rows, columns);
  if (block.shifted) h = at::roll(h, {shift, shift}, {1, 2});
  h = x + h.flatten(1, 2);
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
                              params.constant(name + "attn.relative_position_bias_table", {reach * reach, heads}, 0), b % 2 == 1});
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
