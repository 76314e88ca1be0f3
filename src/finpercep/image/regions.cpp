// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/image/components.h"
#include "finpercep/image/overlay.h"

namespace finpercep {
namespace {

class Components {
 public:
  Components(const Image& map, float threshold) : map_(map), threshold_(threshold), labels_(map.plane_size(), 0) {}

  /// Labels the component that holds pixel `seed` and measures it; nothing if it is below the threshold or labelled already.
  bool grow(std::size_t seed, Region& region) {
    int left = map_.width, right = -1, top = map_.height, bottom = -1;
    double sum = 0;
    region.max = map_.data[seed];
    const auto take = [&](std::size_t at) {
      const bool fresh = labels_[at] == 0 && map_.data[at] >= threshold_;  // NaN is outside
      if (fresh) labels_[at] = count_ + 1;
      return fresh;
    };
    const auto visit = [&](std::size_t at, int x, int y) {
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
      sum += map_.data[at];
      region.max = std::max(region.max, map_.data[at]);
      ++region.area;
    };
    if (!visit_component(map_.width, map_.height, seed, open_, take, visit)) return false;
    ++count_;
    region.x = left;
    region.y = top;
    region.width = right - left + 1;
    region.height = bottom - top + 1;
    region.mean = static_cast<float>(sum / region.area);
    return true;
  }

  /// The outer boundary of the component labelled last, whose first pixel in reading order is `seed`. Walks from corner to corner with
  /// the region on the right hand. Turning left where possible keeps pixels that touch only at a corner on one boundary.
  std::vector<std::array<int, 2>> outline(std::size_t seed) const {
    static constexpr int dx[] = {1, 0, -1, 0}, dy[] = {0, 1, 0, -1};  // east, south, west, north: clockwise, y down
    const int x0 = static_cast<int>(seed % map_.width), y0 = static_cast<int>(seed / map_.width);
    std::vector<std::array<int, 2>> corners = {{x0, y0}};
    int x = x0, y = y0, direction = 0;
    for (;;) {
      x += dx[direction];
      y += dy[direction];
      // The pixels ahead of corner (x, y), to the left and to the right of the way.
      static constexpr int left_x[] = {0, 0, -1, -1}, left_y[] = {-1, 0, 0, -1}, right_x[] = {0, -1, -1, 0}, right_y[] = {0, 0, -1, -1};
      int turned = direction;
      if (inside(x + left_x[direction], y + left_y[direction])) {
        turned = (direction + 3) % 4;
      } else if (!inside(x + right_x[direction], y + right_y[direction])) {
        turned = (direction + 1) % 4;
      }
      if (x == x0 && y == y0 && turned == 0) return corners;  // about to walk the first edge again
      if (turned != direction) corners.push_back({x, y});
      direction = turned;
    }
  }

 private:
  bool inside(int x, int y) const {
    return x >= 0 && y >= 0 && x < map_.width && y < map_.height && labels_[static_cast<std::size_t>(y) * map_.width + x] == count_;
  }

  const Image& map_;
  float threshold_;
  std::vector<int> labels_;
  std::vector<std::size_t> open_;
  int count_ = 0;
};

}  // namespace

std::vector<Region> find_regions(const Image& map, float threshold, int min_area) {
  if (map.channels != 1) throw usage_error(fmt::format("find regions: expected a map of 1 channel, found {}", map.channels));
  Components components(map, threshold);
  std::vector<Region> regions;
  for (std::size_t seed = 0; seed < map.plane_size(); ++seed) {
    Region region;
    if (!components.grow(seed, region) || region.area < min_area) continue;
    region.polygon = components.outline(seed);
    regions.push_back(std::move(region));
  }
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    return static_cast<double>(a.mean) * a.area > static_cast<double>(b.mean) * b.area;
  });
  return regions;
}

}  // namespace finpercep
