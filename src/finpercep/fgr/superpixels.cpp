// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/superpixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "finpercep/image/lab.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

using Vectors = std::vector<std::vector<double>>;

Image to_lab(const Image& rgb) {
  Image lab(rgb.width, rgb.height);
  for (std::size_t i = 0; i < rgb.plane_size(); ++i) {
    const Triple at = lab_of({rgb.plane(0)[i], rgb.plane(1)[i], rgb.plane(2)[i]});
    for (int c = 0; c < 3; ++c) lab.plane(c)[i] = static_cast<float>(at[c]);
  }
  return lab;
}

struct Centre {
  std::array<double, 5> at{};  // L, a, b, x, y
};

std::array<double, 5> point(const Image& lab, int x, int y) {
  return {lab.at(0, y, x), lab.at(1, y, x), lab.at(2, y, x), static_cast<double>(x), static_cast<double>(y)};
}

// Squared colour difference between the neighbours on both sides.
double gradient(const Image& lab, int x, int y) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) {
    const double dx = lab.at(c, y, std::min(x + 1, lab.width - 1)) - lab.at(c, y, std::max(x - 1, 0));
    const double dy = lab.at(c, std::min(y + 1, lab.height - 1), x) - lab.at(c, std::max(y - 1, 0), x);
    sum += dx * dx + dy * dy;
  }
  return sum;
}

// A regular grid, each centre moved to the calmest of its 3 x 3 pixels.
std::vector<Centre> first_centres(const Image& lab, double step) {
  const int columns = std::max(1, static_cast<int>(std::lround(lab.width / step))),
            rows = std::max(1, static_cast<int>(std::lround(lab.height / step)));
  std::vector<Centre> centres;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) {
      const int x = (2 * column + 1) * lab.width / (2 * columns), y = (2 * row + 1) * lab.height / (2 * rows);
      int best_x = x, best_y = y;
      for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, lab.height - 1); ++ny)
        for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, lab.width - 1); ++nx)
          if (gradient(lab, nx, ny) < gradient(lab, best_x, best_y)) best_x = nx, best_y = ny;
      centres.push_back({point(lab, best_x, best_y)});
    }
  return centres;
}

// One round: each pixel to the nearest of the centres that lie within a step to each side, each centre to the mean of its pixels.
void slic_round(const Image& lab, double step, double compactness, std::vector<Centre>& centres, std::vector<int>& owner) {
  std::vector<double> nearest(owner.size(), std::numeric_limits<double>::infinity());
  const double weight = compactness * compactness / (step * step);
  for (std::size_t k = 0; k < centres.size(); ++k) {
    const auto& c = centres[k].at;
    const int left = std::max(0, static_cast<int>(c[3] - step)), right = std::min(lab.width - 1, static_cast<int>(c[3] + step));
    const int top = std::max(0, static_cast<int>(c[4] - step)), bottom = std::min(lab.height - 1, static_cast<int>(c[4] + step));
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x) {
        const auto p = point(lab, x, y);
        double colour = 0;
        for (int i = 0; i < 3; ++i) colour += (p[i] - c[i]) * (p[i] - c[i]);
        const double distance = colour + weight * ((p[3] - c[3]) * (p[3] - c[3]) + (p[4] - c[4]) * (p[4] - c[4]));
        const std::size_t at = static_cast<std::size_t>(y) * lab.width + x;
        if (distance < nearest[at]) nearest[at] = distance, owner[at] = static_cast<int>(k);
      }
  }
  std::vector<Centre> sums(centres.size());
  std::vector<int64_t> counts(centres.size());
  for (int y = 0; y < lab.height; ++y)
    for (int x = 0; x < lab.width; ++x) {
      const int k = owner[static_cast<std::size_t>(y) * lab.width + x];
      const auto p = point(lab, x, y);
      for (std::size_t i = 0; i < p.size(); ++i) sums[k].at[i] += p[i];
      ++counts[k];
    }
  for (std::size_t k = 0; k < centres.size(); ++k)
    for (std::size_t i = 0; counts[k] > 0 && i < 5; ++i) centres[k].at[i] = sums[k].at[i] / static_cast<double>(counts[k]);
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void normalise(std::vector<double>& v) {
  const double length = std::sqrt(dot(v, v)) + 1e-12;
  for (double& x : v) x /= length;
}

std::size_t most_alike(const Vectors& means, const std::vector<double>& v) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < means.size(); ++k)
    if (dot(means[k], v) > dot(means[best], v)) best = k;
  return best;
}

// Unit vectors around unit means, started as k-means++ does: far ones are likelier. Serial and in double, so that threads change nothing.
Vectors spherical_means(const Vectors& vectors, int clusters, Random& random) {
  Vectors means = {vectors[random.integer(0, static_cast<int64_t>(vectors.size()) - 1)]};
  std::vector<double> distance(vectors.size(), 2.0);
  while (static_cast<int>(means.size()) < std::min<int>(clusters, static_cast<int>(vectors.size()))) {
    for (std::size_t i = 0; i < vectors.size(); ++i)
      distance[i] = std::min(distance[i], std::max(0.0, 1 - dot(vectors[i], means.back())) + 1e-9);
    means.push_back(vectors[random.pick(distance)]);
  }
  for (int round = 0; round < 15; ++round) {
    Vectors sums(means.size(), std::vector<double>(vectors[0].size(), 0.0));
    for (const auto& v : vectors) {
      auto& sum = sums[most_alike(means, v)];
      for (std::size_t i = 0; i < v.size(); ++i) sum[i] += v[i];
    }
    for (std::size_t k = 0; k < means.size(); ++k)
      if (dot(sums[k], sums[k]) > 0) normalise(means[k] = sums[k]);
  }
  return means;
}

}  // namespace

LabelMap connected_parts(const LabelMap& map, int64_t min_area) {
  std::vector<int> part(map.ids.size(), 0);
  std::vector<std::size_t> open;
  int count = 0;
  for (std::size_t seed = 0; seed < part.size(); ++seed) {
    if (part[seed] != 0) continue;
    part[seed] = ++count;
    int before = 0;  // a part that touches this one and is finished
    open.assign(1, seed);
    for (std::size_t i = 0; i < open.size(); ++i) {
      const int x = static_cast<int>(open[i] % map.width), y = static_cast<int>(open[i] / map.width);
      for (const auto& [nx, ny] : {std::pair{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}}) {
        if (nx < 0 || ny < 0 || nx >= map.width || ny >= map.height) continue;
        const std::size_t next = static_cast<std::size_t>(ny) * map.width + nx;
        if (part[next] == 0 && map.ids[next] == map.ids[seed]) {
          part[next] = count;
          open.push_back(next);
        } else if (part[next] != 0 && part[next] != count && before == 0) {
          before = part[next];
        }
      }
    }
    if (static_cast<int64_t>(open.size()) >= min_area || before == 0) continue;
    for (const std::size_t at : open) part[at] = before;
    --count;
  }
  LabelMap out{map.width, map.height, std::vector<uint16_t>(part.begin(), part.end())};
  return out;
}

LabelMap superpixels(const Image& picture, int count, double compactness) {
  const Image lab = to_lab(picture);
  const double step = std::max(1.0, std::sqrt(static_cast<double>(lab.plane_size()) / std::max(count, 1)));
  std::vector<Centre> centres = first_centres(lab, step);
  // The reach is a step to each side of the centre: with uneven grids a pixel may lie in nobody's, and stays with the centre of its cell.
  std::vector<int> owner(lab.plane_size());
  const int columns = std::max(1, static_cast<int>(std::lround(lab.width / step))), rows = static_cast<int>(centres.size()) / columns;
  for (int y = 0; y < lab.height; ++y)
    for (int x = 0; x < lab.width; ++x)
      owner[static_cast<std::size_t>(y) * lab.width + x] = y * rows / lab.height * columns + x * columns / lab.width;
  for (int round = 0; round < 10; ++round) slic_round(lab, step, compactness, centres, owner);
  LabelMap map{lab.width, lab.height, std::vector<uint16_t>(owner.begin(), owner.end())};
  return connected_parts(map, static_cast<int64_t>(step * step / 4));
}

LabelMap token_segments(const Dino& net, const Image& picture, Random& random, int clusters) {
  constexpr int longest = 518;
  constexpr int superpixel_area = 120;
  const double scale = std::min(1.0, static_cast<double>(longest) / std::max(picture.width, picture.height));
  const int width = std::max(1, static_cast<int>(std::lround(picture.width * scale))),
            height = std::max(1, static_cast<int>(std::lround(picture.height * scale)));
  const Image reduced = scale < 1 ? resize(picture, width, height, Resize::area) : picture;

  at::NoGradGuard no_grad;
  const at::Tensor tokens = net.tokens(to_tensor(reduced).to(net.norm.weight.device()))[0][0].cpu();
  const at::Tensor rows = tokens.flatten(1).t().contiguous();
  Vectors vectors;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const float* row = rows.const_data_ptr<float>() + i * rows.size(1);
    vectors.emplace_back(row, row + rows.size(1));
    normalise(vectors.back());
  }
  const Vectors means = spherical_means(vectors, clusters, random);

  // How alike each place is to each mean, at the picture's resolution, summed over superpixels.
  Image likeness(static_cast<int>(tokens.size(2)), static_cast<int>(tokens.size(1)), static_cast<int>(means.size()));
  for (std::size_t i = 0; i < vectors.size(); ++i)
    for (std::size_t k = 0; k < means.size(); ++k) likeness.plane(static_cast<int>(k))[i] = static_cast<float>(dot(vectors[i], means[k]));
  likeness =
      crop(resize(likeness, likeness.width * static_cast<int>(net.patch), likeness.height * static_cast<int>(net.patch), Resize::bilinear),
           0, 0, width, height);
  LabelMap map = superpixels(reduced, width * height / superpixel_area + 1);
  Vectors sums(*std::ranges::max_element(map.ids) + std::size_t{1}, std::vector<double>(means.size(), 0.0));
  for (std::size_t i = 0; i < map.ids.size(); ++i)
    for (std::size_t k = 0; k < means.size(); ++k) sums[map.ids[i]][k] += likeness.plane(static_cast<int>(k))[i];
  for (uint16_t& id : map.ids) id = static_cast<uint16_t>(std::ranges::max_element(sums[id]) - sums[id].begin());
  return resize(connected_parts(map, static_cast<int64_t>(width) * height / 300), picture.width, picture.height);
}

}  // namespace finpercep
