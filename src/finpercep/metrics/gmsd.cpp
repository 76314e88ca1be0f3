// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/gmsd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"

namespace finpercep {

namespace {

constexpr double threshold = 170;
constexpr int rows_per_task = 64;
constexpr int least_side = 4;

// The halved plane inside a frame of zeros, one pixel wide.
struct Framed {
  int width = 0, height = 0;  // of the plane
  std::vector<float> values;
  const float* row(int y) const { return values.data() + static_cast<std::size_t>(y + 1) * (width + 2) + 1; }
  float* row(int y) { return values.data() + static_cast<std::size_t>(y + 1) * (width + 2) + 1; }
};

Framed halve(const Image& image, int threads) {
  const ComparedRows rows(image, Channels::yiq, 0, true);
  Framed out{rows.width() / 2, rows.height() / 2, {}};
  out.values.assign(static_cast<std::size_t>(out.width + 2) * (out.height + 2), 0);
  parallel_rows(out.height, rows_per_task, threads, [&](int first, int end) {
    std::vector<double> top(rows.width()), bottom(rows.width());
    for (int y = first; y < end; ++y) {
      rows.read(0, 2 * y, top.data());
      rows.read(0, 2 * y + 1, bottom.data());
      float* to = out.row(y);
      for (int x = 0; x < out.width; ++x) to[x] = static_cast<float>((top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1]) / 4);
    }
  });
  return out;
}

// Squared gradient magnitudes of row `y`.
void gradient_row(const Framed& plane, int y, double* to) {
  const float *above = plane.row(y - 1), *here = plane.row(y), *below = plane.row(y + 1);
#pragma GCC ivdep
  for (int x = 0; x < plane.width; ++x) {
    const double across =
        (double(above[x + 1]) - above[x - 1]) + (double(here[x + 1]) - here[x - 1]) + (double(below[x + 1]) - below[x - 1]);
    const double down = (double(below[x - 1]) - above[x - 1]) + (double(below[x]) - above[x]) + (double(below[x + 1]) - above[x + 1]);
    to[x] = (across * across + down * down) / 9;
  }
}

}  // namespace

double gmsd(const Image& sr, const Image& ref, int threads) {
  require_same_size(sr, ref, "gmsd");
  if (sr.width < least_side || sr.height < least_side)
    throw input_error(fmt::format("gmsd: expected sides of at least {} pixels, found {}x{}", least_side, sr.width, sr.height));
  const Framed a = halve(sr, threads), b = halve(ref, threads);
  // One minus the similarity is (g1 - g2)^2 / (g1^2 + g2^2 + T), which keeps its digits where the pictures are almost equal.
  struct Sums {
    double first = 0, second = 0;
  };
  std::vector<Sums> row_sums(a.height);  // added up in order: no effect of the threads
  parallel_rows(a.height, rows_per_task, threads, [&](int first, int end) {
    std::vector<double> u(a.width), v(a.width);
    for (int y = first; y < end; ++y) {
      gradient_row(a, y, u.data());
      gradient_row(b, y, v.data());
#pragma GCC ivdep
      for (int x = 0; x < a.width; ++x) {
        const double gap = std::sqrt(u[x]) - std::sqrt(v[x]);
        u[x] = gap * gap / (u[x] + v[x] + threshold);
      }
      for (int x = 0; x < a.width; ++x) {
        row_sums[y].first += u[x];
        row_sums[y].second += u[x] * u[x];
      }
    }
  });
  double first = 0, second = 0;
  for (const Sums& sums : row_sums) {
    first += sums.first;
    second += sums.second;
  }
  const double count = static_cast<double>(a.width) * a.height;
  return std::sqrt(std::max(second - first * first / count, 0.0) / (count - 1));
}

}  // namespace finpercep
