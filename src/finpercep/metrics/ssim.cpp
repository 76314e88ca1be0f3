// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/ssim.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/metrics/ssim_windows.h"

namespace finpercep {

namespace {

void require_sides(const ComparedRows& rows, int least, const char* metric) {
  if (rows.width() < least || rows.height() < least)
    throw input_error(fmt::format("{}: expected sides of at least {} pixels, found {}x{}", metric, least, rows.width(), rows.height()));
}

// Float holds it exactly: the mean of four integers has two more binary places, and four halvings keep within 24 bits.
struct SmallPlane {
  int width = 0, height = 0;
  std::vector<float> values;
  RowReader reader() const {
    return [this](int y, double* to) { std::copy_n(values.data() + static_cast<std::size_t>(y) * width, width, to); };
  }
};

// Means of 2 x 2 pixels. An odd side gets a row of zeros in front, as average pooling with padding has it.
SmallPlane halve(const RowReader& rows, int width, int height, int threads) {
  constexpr int rows_per_task = 64;
  SmallPlane out{(width + 1) / 2, (height + 1) / 2, {}};
  out.values.resize(static_cast<std::size_t>(out.width) * out.height);
  const int shift_x = width % 2, shift_y = height % 2;
  parallel_rows(out.height, rows_per_task, threads, [&](int first, int end) {
    std::vector<double> top(width + 2), bottom(width + 2);
    for (int y = first; y < end; ++y) {
      const int source = 2 * y - shift_y;
      if (source < 0) std::fill(top.begin(), top.end(), 0.0);
      else rows(source, top.data() + shift_x);
      rows(source + 1, bottom.data() + shift_x);
      float* to = out.values.data() + static_cast<std::size_t>(y) * out.width;
      for (int x = 0; x < out.width; ++x) to[x] = static_cast<float>((top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1]) / 4);
    }
  });
  return out;
}

RowReader reader_of(const ComparedRows& rows, int plane) {
  return [&rows, plane](int y, double* to) { rows.read(plane, y, to); };
}

}  // namespace

double ssim(const Image& sr, const Image& ref, const SsimOptions& options) {
  require_same_size(sr, ref, "ssim");
  const ComparedRows a(sr, options.channels, options.crop_border, options.rounded),
      b(ref, options.channels, options.crop_border, options.rounded);
  require_sides(a, ssim_window, "ssim");
  double total = 0;
  for (int p = 0; p < a.planes(); ++p)
    total += ssim_windows(reader_of(a, p), reader_of(b, p), a.width(), a.height(), options.clamped, options.threads).similarity;
  return total / a.planes();
}

double ms_ssim(const Image& sr, const Image& ref, const MsSsimOptions& options) {
  constexpr std::array<double, 5> exponents = {.0448, .2856, .3001, .2363, .1333};
  constexpr int least = (ssim_window - 1) * 16 + 1;  // four halvings, rounded up, leave one window
  require_same_size(sr, ref, "ms_ssim");
  const ComparedRows a(sr, options.channels, options.crop_border, true), b(ref, options.channels, options.crop_border, true);
  require_sides(a, least, "ms_ssim");

  std::array<WindowMeans, exponents.size()> levels{};
  for (int p = 0; p < a.planes(); ++p) {
    RowReader u = reader_of(a, p), v = reader_of(b, p);
    SmallPlane small_u, small_v;
    int width = a.width(), height = a.height();
    for (std::size_t level = 0; level < levels.size(); ++level) {
      if (level > 0) {
        SmallPlane next_u = halve(u, width, height, options.threads), next_v = halve(v, width, height, options.threads);
        small_u = std::move(next_u);
        small_v = std::move(next_v);
        u = small_u.reader();
        v = small_v.reader();
        width = small_u.width;
        height = small_u.height;
      }
      const WindowMeans means = ssim_windows(u, v, width, height, true, options.threads);
      levels[level].similarity += means.similarity / a.planes();
      levels[level].contrast += means.contrast / a.planes();
    }
  }
  double product = std::pow(std::max(levels.back().similarity, 0.0), exponents.back());
  for (std::size_t level = 0; level + 1 < levels.size(); ++level) product *= std::pow(levels[level].contrast, exponents[level]);
  return product;
}

}  // namespace finpercep
