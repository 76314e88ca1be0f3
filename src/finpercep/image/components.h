// SPDX-License-Identifier: Apache-2.0
// Connected parts of a picture.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

namespace finpercep {

/// Visits every pixel of the 8-connected component that holds pixel `seed` of a picture of width x height: visit(at, x, y), at being
/// y * width + x, depth first, so that sums over them are always rounded alike. take(at) says whether the pixel belongs to a component and
/// was not taken before, and takes it. False, with nothing visited, where the seed is not taken. `open` is scratch.
template <class Take, class Visit>
bool visit_component(int width, int height, std::size_t seed, std::vector<std::size_t>& open, Take take, Visit visit) {
  if (!take(seed)) return false;
  open.assign(1, seed);
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    const int x = static_cast<int>(at % width), y = static_cast<int>(at / width);
    visit(at, x, y);
    for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, height - 1); ++ny)
      for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, width - 1); ++nx)
        if (const std::size_t next = static_cast<std::size_t>(ny) * width + nx; take(next)) open.push_back(next);
  }
  return true;
}

}  // namespace finpercep
