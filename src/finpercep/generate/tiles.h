// SPDX-License-Identifier: Apache-2.0
// Pictures of any size in overlapping tiles that blend into each other.
#pragma once
#include <torch/types.h>

#include <functional>

namespace finpercep {

struct Tile {
  int64_t top, left, height, width;  ///< LR pixels
};

constexpr int64_t tile_overlap = 16;  ///< LR pixels that neighbouring tiles share

/// Makes 1 x 3 x scale H x scale W from what `make` gives for each tile of at most `side` LR pixels a side (0: one tile): 1 x 3 x scale h x
/// scale w, of any device and type. `side` is raised where it would not reach beyond the overlap, and kept a multiple of `unit`. Where two
/// tiles overlap, one fades into the other. Beside the result, memory holds one tile.
at::Tensor in_tiles(int64_t height, int64_t width, int64_t scale, int64_t side, int64_t unit,
                    const std::function<at::Tensor(const Tile&)>& make);

}  // namespace finpercep
