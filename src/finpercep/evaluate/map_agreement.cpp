// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/map_agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/evaluate/correlation.h"
#include "finpercep/image/components.h"
#include "finpercep/image/resize.h"

namespace finpercep {

namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr int rank_cell = 8;  // side of the squares that are ranked

void require_pair(const Image& map, const Image& label) {
  if (map.width != label.width || map.height != label.height || map.channels != 1 || label.channels != 1)
    throw internal_error(fmt::format("maps: expected two of one channel and one size, found {} x {} x {} and {} x {} x {}", map.channels,
                                     map.height, map.width, label.channels, label.height, label.width));
}

struct Counts {
  std::array<int64_t, map_levels> defect{}, clean{};
  int64_t defects = 0, cleans = 0;
};

Counts count_levels(const Image& map, const Image& label) {
  Counts counts;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    const int level = std::clamp(static_cast<int>(map.data[i] * map_levels), 0, map_levels - 1);
    const bool defect = label.data[i] >= defect_label;
    ++(defect ? counts.defect : counts.clean)[level];
    ++(defect ? counts.defects : counts.cleans);
  }
  return counts;
}

double auroc(const Counts& c) {
  if (c.defects == 0 || c.cleans == 0) return undefined;
  double area = 0, below = 0;
  for (int k = 0; k < map_levels; ++k) {
    area += static_cast<double>(c.defect[k]) * (below + 0.5 * static_cast<double>(c.clean[k]));
    below += static_cast<double>(c.clean[k]);
  }
  return area / (static_cast<double>(c.defects) * static_cast<double>(c.cleans));
}

double average_precision(const Counts& c) {
  if (c.defects == 0 || c.cleans == 0) return undefined;
  double area = 0, found = 0, taken = 0;
  for (int k = map_levels - 1; k >= 0; --k) {
    if (c.defect[k] + c.clean[k] == 0) continue;
    found += static_cast<double>(c.defect[k]);
    taken += static_cast<double>(c.defect[k] + c.clean[k]);
    area += static_cast<double>(c.defect[k]) * found / taken;
  }
  return area / static_cast<double>(c.defects);
}

std::vector<double> values_of(const Image& map) { return {map.data.begin(), map.data.end()}; }

std::vector<double> cells_of(const Image& map) {
  return values_of(resize(map, std::max(1, map.width / rank_cell), std::max(1, map.height / rank_cell), Resize::area));
}

std::vector<char> from_threshold_on(const Image& map, double threshold) {
  std::vector<char> out(map.data.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = map.data[i] >= threshold;
  return out;
}

// Share of the components of `found` that lie on `truth` by half.
double share_of_components(const std::vector<char>& found, const std::vector<char>& truth, int width, int height, int min_area) {
  std::vector<char> left = found;
  std::vector<std::size_t> open;
  int64_t components = 0, matched = 0;
  for (std::size_t seed = 0; seed < left.size(); ++seed) {
    int64_t area = 0, on = 0;
    const auto take = [&](std::size_t at) { return std::exchange(left[at], 0) != 0; };
    const auto visit = [&](std::size_t at, int, int) {
      ++area;
      on += truth[at];
    };
    if (!visit_component(width, height, seed, open, take, visit) || area < min_area) continue;
    ++components;
    matched += 2 * on >= area;
  }
  return components == 0 ? undefined : static_cast<double>(matched) / static_cast<double>(components);
}

}  // namespace

MapAgreement compare_maps(const Image& map, const Image& label) {
  require_pair(map, label);
  MapAgreement agreement;
  int64_t both = 0, either = 0;
  for (std::size_t i = 0; i < map.data.size(); ++i) {
    agreement.l1 += std::abs(map.data[i] - label.data[i]) / static_cast<double>(map.data.size());
    const bool found = map.data[i] >= 0.5f, defect = label.data[i] >= defect_label;
    both += found && defect;
    either += found || defect;
  }
  const Counts counts = count_levels(map, label);
  agreement.plcc = pearson(values_of(map), values_of(label));
  agreement.srcc = spearman(cells_of(map), cells_of(label));
  agreement.auroc = auroc(counts);
  agreement.aupr = average_precision(counts);
  agreement.iou = counts.defects == 0 ? undefined : static_cast<double>(both) / static_cast<double>(either);
  agreement.f1 = 2 * agreement.iou / (1 + agreement.iou);
  const auto peak = std::ranges::max_element(map.data) - map.data.begin();
  agreement.hit = counts.defects == 0 ? undefined : label.data[peak] >= defect_label ? 1 : 0;
  return agreement;
}

std::vector<double> f1_by_threshold(const Image& map, const Image& label) {
  require_pair(map, label);
  const Counts counts = count_levels(map, label);
  if (counts.defects == 0) return {};
  std::vector<double> f1(map_levels);
  int64_t found = 0, taken = 0;
  for (int k = map_levels - 1; k >= 0; --k) {
    found += counts.defect[k];
    taken += counts.defect[k] + counts.clean[k];
    f1[k] = 2.0 * static_cast<double>(found) / static_cast<double>(taken + counts.defects);
  }
  return f1;
}

double best_threshold(const std::vector<double>& f1_sums) {
  return static_cast<double>(std::ranges::max_element(f1_sums) - f1_sums.begin()) / map_levels;
}

RegionAgreement compare_regions(const Image& map, const Image& label, double threshold, int min_area) {
  require_pair(map, label);
  const std::vector<char> found = from_threshold_on(map, threshold), truth = from_threshold_on(label, defect_label);
  int64_t both = 0, sum = 0, defects = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    both += found[i] && truth[i];
    sum += found[i] + truth[i];
    defects += truth[i];
  }
  return {defects == 0 ? undefined : 2.0 * static_cast<double>(both) / static_cast<double>(sum),
          share_of_components(found, truth, map.width, map.height, min_area),
          share_of_components(truth, found, map.width, map.height, min_area)};
}

}  // namespace finpercep
