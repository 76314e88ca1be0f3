// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/semantic_mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t most_json = uint64_t{32} << 20;  // SA-1B's are below 1 MB; this bounds memory
constexpr double slack = 1.25;

// Indices by falling area: painted in this order, small regions end on top. Equal areas keep their order.
std::vector<std::size_t> largest_first(const std::vector<int64_t>& areas) {
  if (areas.size() > std::numeric_limits<uint16_t>::max())
    throw input_error(fmt::format("segments: expected at most 65535 masks of a picture, found {}", areas.size()));
  std::vector<std::size_t> order(areas.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return areas[a] > areas[b]; });
  return order;
}

// Run lengths, for a hundred masks of a large photograph are gigabytes of pixels.
LabelMap read_pictures(const std::vector<fs::path>& paths) {
  RunLengthMasks masks;
  for (const fs::path& path : paths) {
    const Image mask = read_gray(path);
    if (masks.masks.empty()) masks = {mask.width, mask.height, {}};
    if (mask.width != masks.width || mask.height != masks.height)
      throw input_error(fmt::format("segments: {}: expected {} x {} as {}, found {} x {}. masks of one photo have one size", path.string(),
                                    masks.width, masks.height, paths[0].filename().string(), mask.width, mask.height));
    masks.masks.push_back(run_lengths(mask));
  }
  return paint(masks);
}

// The file or folder it was read from, and the map.
std::optional<std::pair<fs::path, LabelMap>> find_segments(const fs::path& folder, const std::string& stem,
                                                           const std::set<std::string>& photographs) {
  fs::path path = folder / (stem + ".png");
  if (fs::exists(path)) {
    LabelMap map;
    map.ids = read_labels(path, map.width, map.height);
    return std::pair(path, std::move(map));
  }
  path = folder / (stem + ".json");
  if (fs::exists(path)) return std::pair(path, paint(parse_sam_masks(read_text_file(path, most_json), path.string())));
  path = folder / stem;
  if (fs::is_directory(path)) return std::pair(path, read_pictures(list_images({path.string()})));
  std::vector<fs::path> numbered;
  for (int k = 0;; ++k) {
    const std::string name = fmt::format("{}_{}", stem, k);
    path = folder / (name + ".png");
    if (fs::exists(path) && !photographs.contains(name)) numbered.push_back(path);
    else if (k > 0) break;  // they may count from 0 or from 1
  }
  if (numbered.empty()) return std::nullopt;
  return std::pair(numbered[0], read_pictures(numbered));
}

}  // namespace

LabelMap paint(const RunLengthMasks& runs) {
  LabelMap map{runs.width, runs.height, std::vector<uint16_t>(static_cast<std::size_t>(runs.width) * runs.height)};
  std::vector<int64_t> areas;
  for (const RunLengths& mask : runs.masks) areas.push_back(mask.area);
  uint16_t id = 0;
  for (const std::size_t index : largest_first(areas)) {
    ++id;
    int64_t at = 0;
    bool inside = false;
    for (const int64_t count : runs.masks[index].counts) {
      for (int64_t k = at; inside && k < at + count; ++k)
        map.ids[static_cast<std::size_t>(k % runs.height) * runs.width + k / runs.height] = id;
      at += count;
      inside = !inside;
    }
  }
  return map;
}

std::optional<LabelMap> read_segments(const std::vector<std::string>& folders, const std::string& stem, int width, int height,
                                      const std::set<std::string>& photographs) {
  for (const std::string& folder : folders) {
    auto found = find_segments(folder, stem, photographs);
    if (!found) continue;
    auto& [path, map] = *found;
    if (map.width == width && map.height == height) return std::move(map);
    // A photo is reduced with each side rounded by itself.
    const double other = static_cast<double>(map.height) * width / std::max(map.width, 1);
    if (map.ids.empty() || std::abs(other - height) > 1)
      throw input_error(fmt::format(
          "segments: {}: expected {} x {} as the photo '{}' has, or that in proportion, found {} x {}. is it of another picture?",
          path.string(), width, height, stem, map.width, map.height));
    return resize(map, width, height);
  }
  return std::nullopt;
}

LabelMap cut(const LabelMap& map, int x, int y, int width, int height, bool flip) {
  LabelMap out{width, height, std::vector<uint16_t>(static_cast<std::size_t>(width) * height)};
  for (int row = 0; row < height; ++row) {
    const auto from = map.ids.begin() + static_cast<std::ptrdiff_t>(y + row) * map.width + x;
    const auto to = out.ids.begin() + static_cast<std::ptrdiff_t>(row) * width;
    if (flip) std::reverse_copy(from, from + width, to);
    else std::copy_n(from, width, to);
  }
  return out;
}

LabelMap resize(const LabelMap& map, int width, int height) {
  LabelMap out{width, height, std::vector<uint16_t>(static_cast<std::size_t>(width) * height)};
  const auto nearest = [](int64_t i, int64_t from, int64_t to) { return (2 * i + 1) * from / (2 * to); };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      out.ids[static_cast<std::size_t>(y) * width + x] =
          map.ids[static_cast<std::size_t>(nearest(y, map.height, height)) * map.width + nearest(x, map.width, width)];
  return out;
}

std::optional<Image> semantic_mask(const LabelMap& map, const MaskSettings& settings, Random& random) {
  const double pixels = static_cast<double>(map.ids.size()), wanted = draw_area(settings, random);
  std::vector<double> share(std::size_t{1} << 16, 0.0);
  for (const uint16_t id : map.ids) share[id] += 1 / pixels;
  std::vector<uint16_t> regions;
  for (std::size_t id = 1; id < share.size(); ++id)
    if (share[id] > 0) regions.push_back(static_cast<uint16_t>(id));
  const double low = settings.area.at(0) / slack, high = settings.area.at(1) * slack;
  // Regions in random order, each taken where it brings the area nearer to the wanted one; of some such sets the nearest.
  std::vector<char> best;
  double nearest = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < 8; ++attempt) {
    std::vector<char> taken(share.size(), 0);
    double sum = 0;
    for (const int64_t k : random.permutation(static_cast<int64_t>(regions.size()))) {
      const uint16_t id = regions[k];
      if (sum + share[id] > high || (sum > 0 && std::abs(sum + share[id] - wanted) >= std::abs(sum - wanted))) continue;
      taken[id] = 1;
      sum += share[id];
    }
    if (sum == 0 || sum < low || std::abs(std::log(sum / wanted)) >= nearest) continue;
    nearest = std::abs(std::log(sum / wanted));
    best = std::move(taken);
  }
  if (best.empty()) return std::nullopt;
  Image mask(map.width, map.height, 1);
  for (std::size_t i = 0; i < map.ids.size(); ++i) mask.data[i] = best[map.ids[i]] ? 1.0f : 0.0f;
  feather(mask, settings, random);
  return mask;
}

}  // namespace finpercep
