// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/mask.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "finpercep/base/error.h"
#include "finpercep/degrade/blur.h"
#include "finpercep/image/resize.h"

namespace finpercep {

double filled(const Image& mask) {
  double sum = 0;
  for (float v : mask.data) sum += v;
  return sum / static_cast<double>(mask.data.size());
}

namespace {

void fill_ellipse(Image& mask, double cx, double cy, double rx, double ry, double angle) {
  const double c = std::cos(angle), s = std::sin(angle), reach = std::max(rx, ry) + 1;
  const auto first = [&](double centre) { return std::max(0, static_cast<int>(centre - reach)); };
  const auto last = [&](double centre, int side) { return std::min(side - 1, static_cast<int>(centre + reach)); };
  for (int y = first(cy); y <= last(cy, mask.height); ++y)
    for (int x = first(cx); x <= last(cx, mask.width); ++x) {
      const double dx = x - cx, dy = y - cy, u = (c * dx + s * dy) / rx, v = (c * dy - s * dx) / ry;
      if (u * u + v * v <= 1) mask.at(0, y, x) = 1;
    }
}

// A wandering round brush until the area is reached.
void brush(Image& mask, double area, Random& random) {
  const double radius = std::sqrt(area * mask.width * mask.height) * random.uniform(0.12, 0.3) + 2;
  double x = random.uniform(0, mask.width), y = random.uniform(0, mask.height), heading = random.uniform(0, 2 * std::numbers::pi);
  for (int step = 0; step < 400 && filled(mask) < area; ++step) {
    fill_ellipse(mask, x, y, radius, radius, 0);
    heading += 0.6 * random.normal();
    x += radius * std::cos(heading);
    y += radius * std::sin(heading);
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) heading += std::numbers::pi / 2;
    x = std::clamp(x, 0.0, mask.width - 1.0);
    y = std::clamp(y, 0.0, mask.height - 1.0);
  }
}

void box(Image& mask, double area, Random& random) {
  const double aspect = std::exp(random.uniform(-0.9, 0.9));
  const int w = std::clamp(static_cast<int>(std::sqrt(area * mask.width * mask.height * aspect)), 2, mask.width);
  const int h = std::clamp(static_cast<int>(area * mask.width * mask.height / w), 2, mask.height);
  const int x = static_cast<int>(random.integer(0, mask.width - w)), y = static_cast<int>(random.integer(0, mask.height - h));
  for (int row = y; row < y + h; ++row) std::fill_n(&mask.at(0, row, x), w, 1.0f);
}

void ellipse(Image& mask, double area, Random& random) {
  const double aspect = std::exp(random.uniform(-0.7, 0.7)), r = std::sqrt(area * mask.width * mask.height / std::numbers::pi);
  fill_ellipse(mask, random.uniform(0.15, 0.85) * mask.width, random.uniform(0.15, 0.85) * mask.height, r * std::sqrt(aspect),
               r / std::sqrt(aspect), random.uniform(0, std::numbers::pi));
}

// Three octaves of smoothed white noise, cut at the quantile that leaves the area.
void fractal_noise(Image& mask, double area, Random& random) {
  std::fill(mask.data.begin(), mask.data.end(), 0.0f);
  for (double sigma : {0.12, 0.05, 0.02}) {
    Image noise(mask.width, mask.height, 1);
    random.fill_normal(noise.data.data(), noise.data.size());
    noise = blur_by(noise, sigma * std::min(mask.width, mask.height));
    double power = 1e-12;
    for (float v : noise.data) power += v * v;
    const auto gain = static_cast<float>(sigma / 0.12 / std::sqrt(power / static_cast<double>(noise.data.size())));
    for (std::size_t i = 0; i < noise.data.size(); ++i) mask.data[i] += gain * noise.data[i];
  }
  std::vector<float> sorted = mask.data;
  const auto cut = static_cast<std::ptrdiff_t>((1 - area) * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), sorted.begin() + cut, sorted.end());
  const float threshold = sorted[cut];
  for (float& v : mask.data) v = v > threshold ? 1.0f : 0.0f;
}

// Random cells of a regular grid.
void grid(Image& mask, double area, Random& random) {
  const int cell = static_cast<int>(random.integer(16, std::max(17, std::min(mask.width, mask.height) / 3)));
  const int offset_x = static_cast<int>(random.integer(0, cell - 1)), offset_y = static_cast<int>(random.integer(0, cell - 1));
  // One cell for certain: by chance alone, small areas would often be empty.
  const int columns = (mask.width + offset_x + cell - 1) / cell, rows = (mask.height + offset_y + cell - 1) / cell;
  const int64_t cells = static_cast<int64_t>(columns) * rows, certain = random.integer(0, cells - 1);
  const double rest = std::max(0.0, (area * static_cast<double>(cells) - 1) / static_cast<double>(std::max<int64_t>(cells - 1, 1)));
  int64_t index = 0;
  for (int y = -offset_y; y < mask.height; y += cell)
    for (int x = -offset_x; x < mask.width; x += cell) {
      const bool drawn = random.chance(rest);
      if (index++ != certain && !drawn) continue;
      for (int row = std::max(y, 0); row < std::min(y + cell, mask.height); ++row)
        for (int col = std::max(x, 0); col < std::min(x + cell, mask.width); ++col) mask.at(0, row, col) = 1;
    }
}

}  // namespace

void MaskSettings::visit(SettingsVisitor& v) {
  v.choice("kinds", kinds, "mask families, drawn with equal chance", {"brush", "box", "ellipse", "noise", "grid"});
  v.field("area", area, "share of the picture that is swapped, [low, high]", {.min = 0.001, .max = 1, .rising = true});
  v.field("feather", feather, "soft edge, standard deviation in pixels, [low, high]", {.min = 0, .max = 64, .rising = true});
  v.field("feather_prob", feather_prob, "share of masks with a soft edge", {.min = 0, .max = 1});
  v.field("semantic_prob", semantic_prob,
          "share of masks that follow what the picture shows: from segments, else from clustered DINOv2 tokens", {.min = 0, .max = 1});
  v.field("segments", segments, "folders of label maps (STEM.png), SAM masks (STEM.json) or mask pictures (STEM/*.png, STEM_k.png)");
}

double draw_area(const MaskSettings& settings, Random& random) {
  return std::exp(random.uniform(std::log(settings.area[0]), std::log(settings.area[1]) + 1e-12));
}

void feather(Image& mask, const MaskSettings& settings, Random& random) {
  const double sigma = random.uniform(settings.feather[0], settings.feather[1]);
  if (random.chance(settings.feather_prob) && sigma > 0.3) mask = blur_by(mask, sigma);
  clamp_unit(mask);  // a kernel's sum is 1 only up to rounding
}

Image random_mask(const std::string& kind, int width, int height, const MaskSettings& settings, Random& random) {
  Image mask(width, height, 1);
  const double area = draw_area(settings, random);
  if (kind == "brush") brush(mask, area, random);
  else if (kind == "box") box(mask, area, random);
  else if (kind == "ellipse") ellipse(mask, area, random);
  else if (kind == "noise") fractal_noise(mask, area, random);
  else if (kind == "grid") grid(mask, area, random);
  else TORCH_CHECK(false, "random_mask: no kind '", kind, "'");
  feather(mask, settings, random);
  return mask;
}

}  // namespace finpercep
