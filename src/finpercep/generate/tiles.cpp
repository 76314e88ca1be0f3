// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/tiles.h"

#include <algorithm>
#include <vector>

#include "finpercep/base/interrupt.h"

namespace finpercep {

namespace {

// Tile starts that cover [0, size) with the last tile flush with the end.
std::vector<int64_t> tile_starts(int64_t size, int64_t tile) {
  std::vector<int64_t> starts = {0};
  while (starts.back() + tile < size) starts.push_back(std::min(starts.back() + tile - tile_overlap, size - tile));
  return starts;
}

// Along one side, the share that each tile has in its own pixels, 1 in sum over the tiles: towards a neighbour it falls linearly over the
// middle half of the border that they share, and is 0 in the outer quarter, where the net saw no picture beyond the tile's end. The grid of
// tiles is a product of two such sides, so the shares are too.
std::vector<at::Tensor> tile_shares(int64_t size, int64_t tile, const std::vector<int64_t>& starts, int64_t scale) {
  const int64_t border = tile_overlap * scale, unseen = border / 4, pixels = tile * scale;
  const at::Tensor i = at::arange(pixels, at::kFloat);
  const auto rise = [&](const at::Tensor& from_end) {
    return (from_end + 1 - static_cast<double>(unseen)).div(static_cast<double>(border - 2 * unseen)).clamp(0, 1);
  };
  at::Tensor sum = at::zeros({size * scale}, at::kFloat);
  std::vector<at::Tensor> shares;
  for (const int64_t start : starts) {
    at::Tensor share = at::ones({pixels}, at::kFloat);
    if (start > 0) share = at::minimum(share, rise(i));
    if (start + tile < size) share = at::minimum(share, rise(pixels - 1 - i));
    sum.narrow(0, start * scale, pixels).add_(share);
    shares.push_back(share);
  }
  for (std::size_t k = 0; k < starts.size(); ++k) shares[k] /= sum.narrow(0, starts[k] * scale, pixels);
  return shares;
}

}  // namespace

at::Tensor in_tiles(int64_t height, int64_t width, int64_t scale, int64_t side, int64_t unit,
                    const std::function<at::Tensor(const Tile&)>& make) {
  // A tile must reach beyond what it shares with its neighbours on both sides.
  if (side > 0) side = std::max(side / unit, 2 * tile_overlap / unit + 1) * unit;
  const int64_t tile_h = side > 0 ? std::min(side, height) : height, tile_w = side > 0 ? std::min(side, width) : width;
  const auto tops = tile_starts(height, tile_h), lefts = tile_starts(width, tile_w);
  if (tops.size() == 1 && lefts.size() == 1) return make({0, 0, height, width}).to(at::kCPU, at::kFloat);
  const auto down = tile_shares(height, tile_h, tops, scale), across = tile_shares(width, tile_w, lefts, scale);
  at::Tensor out = at::zeros({1, 3, height * scale, width * scale}, at::kFloat);
  for (std::size_t r = 0; r < tops.size(); ++r)
    for (std::size_t c = 0; c < lefts.size(); ++c) {
      stop_if_interrupted("the picture at hand was not finished");
      const at::Tensor sr = make({tops[r], lefts[c], tile_h, tile_w}).to(at::kCPU, at::kFloat);
      out.narrow(-2, tops[r] * scale, tile_h * scale)
          .narrow(-1, lefts[c] * scale, tile_w * scale)
          .addcmul_(sr * down[r].unsqueeze(1), across[c]);
    }
  return out;
}

}  // namespace finpercep
