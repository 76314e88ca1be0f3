// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/ssim.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"

namespace finpercep {

namespace {

constexpr int window = 11;
constexpr double c1 = (.01 * 255) * (.01 * 255), c2 = (.03 * 255) * (.03 * 255);
constexpr int rows_per_task = 32;

std::array<double, window> gaussian() {
  std::array<double, window> g{};
  double sum = 0;
  for (int i = 0; i < window; ++i) sum += g[i] = std::exp(-(i - window / 2) * (i - window / 2) / (2 * 1.5 * 1.5));
  for (double& v : g) v /= sum;
  return g;
}

// Only four windowed means are needed: a, b, a^2 + b^2 and ab. Each row is filtered vertically, then horizontally, in buffers that
// stay in the first-level cache; all inner loops run over x and vectorise.
class RowFilter {
 public:
  explicit RowFilter(int width)
      : width_(width), out_width_(width - window + 1), g_(gaussian()), columns_(4 * width_), means_(4 * out_width_) {}

  double sum_of_row(const double* a, const double* b, bool clamped) {
    filter(a, b);
    const double *ma = means_.data(), *mb = ma + out_width_, *squares = mb + out_width_, *product = squares + out_width_;
    double* value = columns_.data();
    for (int x = 0; x < out_width_; ++x) {
      const double cross = ma[x] * mb[x], power = ma[x] * ma[x] + mb[x] * mb[x];
      const double contrast = (2 * (product[x] - cross) + c2) / (squares[x] - power + c2);
      value[x] = (2 * cross + c1) / (power + c1) * (clamped && contrast < 0 ? 0.0 : contrast);
    }
    double sum = 0;
    for (int x = 0; x < out_width_; ++x) sum += value[x];
    return sum;
  }

 private:
  void filter(const double* a, const double* b) {
    std::fill(columns_.begin(), columns_.end(), 0.0);
    std::fill(means_.begin(), means_.end(), 0.0);
    double *sa = columns_.data(), *sb = sa + width_, *squares = sb + width_, *product = squares + width_;
    for (int k = 0; k < window; ++k, a += width_, b += width_) {
      const double g = g_[k];
      for (int x = 0; x < width_; ++x) {
        const double u = a[x], v = b[x];
        sa[x] += g * u;
        sb[x] += g * v;
        squares[x] += g * (u * u + v * v);
        product[x] += g * (u * v);
      }
    }
    for (int quantity = 0; quantity < 4; ++quantity) {
      const double* from = columns_.data() + static_cast<std::size_t>(quantity) * width_;
      double* to = means_.data() + static_cast<std::size_t>(quantity) * out_width_;
      for (int k = 0; k < window; ++k)
        for (int x = 0; x < out_width_; ++x) to[x] += g_[k] * from[x + k];
    }
  }

  int width_, out_width_;
  std::array<double, window> g_;
  std::vector<double> columns_, means_;
};

}  // namespace

double ssim(const Image& sr, const Image& ref, const SsimOptions& options) {
  require_same_size(sr, ref, "ssim");
  const Planes a = planes_of(sr, options.channels, options.crop_border, options.rounded);
  const Planes b = planes_of(ref, options.channels, options.crop_border, options.rounded);
  if (a.width < window || a.height < window)
    throw input_error(fmt::format("ssim: expected sides of at least {} pixels, found {}x{}", window, a.width, a.height));

  const int rows = a.height - window + 1;
  std::vector<double> row_sums(a.planes.size() * static_cast<std::size_t>(rows));  // added up in order: no effect of the threads
  const int64_t tasks = (static_cast<int64_t>(row_sums.size()) + rows_per_task - 1) / rows_per_task;
  parallel_for(tasks, options.threads, [&](int64_t task) {
    RowFilter filter(a.width);
    const std::size_t first = static_cast<std::size_t>(task) * rows_per_task;
    for (std::size_t i = first; i < std::min(first + rows_per_task, row_sums.size()); ++i) {
      const std::size_t plane = i / rows, start = i % rows * a.width;
      row_sums[i] = filter.sum_of_row(a.planes[plane].data() + start, b.planes[plane].data() + start, options.clamped);
    }
  });
  double total = 0;
  for (double sum : row_sums) total += sum;
  return total / (static_cast<double>(row_sums.size()) * (a.width - window + 1));
}

}  // namespace finpercep
