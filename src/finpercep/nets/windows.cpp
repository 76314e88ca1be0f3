// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/windows.h"

namespace finpercep {

namespace {

constexpr double forbidden = -100;  // logits of tokens that only the shift made neighbours

// N x H x W x C to N * windows x side^2 x C, and back.
at::Tensor into_windows(const at::Tensor& x, int64_t side) {
  return x.unflatten(1, {x.size(1) / side, side})
      .unflatten(3, {x.size(2) / side, side})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, side * side, x.size(3)});
}
at::Tensor out_of_windows(const at::Tensor& w, int64_t rows, int64_t columns, int64_t side) {
  return w.view({-1, rows / side, columns / side, side, side, w.size(2)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, rows, columns, w.size(2)});
}

// heads x side^2 x side^2 from the table of offsets.
at::Tensor offsets_of(const at::Tensor& table, int64_t side) {
  const int64_t cells = side * side;
  const at::Tensor cell = at::arange(cells, at::TensorOptions(at::kLong).device(table.device()));
  const at::Tensor row = at::floor_divide(cell, side), column = cell - row * side;
  const auto apart = [side](const at::Tensor& t) { return t.unsqueeze(1) - t.unsqueeze(0) + (side - 1); };
  const at::Tensor index = (apart(row) * (2 * side - 1) + apart(column)).flatten();
  return table.index_select(0, index).view({cells, cells, table.size(1)}).permute({2, 0, 1});
}

// windows x side^2 x side^2: after the roll the last window of a row or column holds two regions that do not touch.
at::Tensor shift_mask(int64_t rows, int64_t columns, int64_t side, const at::TensorOptions& options) {
  const auto regions = [&](int64_t n) {
    const at::Tensor place = at::arange(n, options.dtype(at::kLong));
    return place.ge(n - side).to(at::kLong) + place.ge(n - side / 2).to(at::kLong);
  };
  const at::Tensor region = (regions(rows).unsqueeze(1) * 3 + regions(columns)).view({1, rows, columns, 1});
  const at::Tensor of_cell = into_windows(region, side).squeeze(2);
  return (of_cell.unsqueeze(1) != of_cell.unsqueeze(2)).to(options.dtype()) * forbidden;
}

}  // namespace

at::Tensor attend_in_windows(const at::Tensor& qkv, int64_t side, int64_t heads, const at::Tensor& offsets, bool shifted) {
  const int64_t rows = qkv.size(1), columns = qkv.size(2), shift = side / 2;
  at::Tensor bias = offsets_of(offsets, side).unsqueeze(0);  // 1 x heads x cells x cells
  if (shifted) bias = (bias + shift_mask(rows, columns, side, bias.options()).unsqueeze(1)).repeat({qkv.size(0), 1, 1, 1});
  const auto parts = into_windows(shifted ? at::roll(qkv, {-shift, -shift}, {1, 2}) : qkv, side).chunk(3, 2);
  const at::Tensor out = attend(parts[0], parts[1], parts[2], heads, bias.expand({parts[0].size(0), -1, -1, -1}));
  const at::Tensor tokens = out_of_windows(out, rows, columns, side);
  return shifted ? at::roll(tokens, {shift, shift}, {1, 2}) : tokens;
}

}  // namespace finpercep
