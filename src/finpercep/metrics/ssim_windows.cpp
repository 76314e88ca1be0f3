// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/ssim_windows.h"

#include <array>
#include <cmath>
#include <vector>

#include "finpercep/base/parallel.h"

namespace finpercep {

namespace {

constexpr int window = ssim_window, half = window / 2;
constexpr double c1 = (.01 * 255) * (.01 * 255), c2 = (.03 * 255) * (.03 * 255);
constexpr int rows_per_task = 64;
constexpr int quantities = 4;  // Only four windowed means are needed: of a, b, a^2 + b^2 and ab.

std::array<double, half + 1> gaussian() {  // one side; the window is symmetric
  std::array<double, half + 1> g{};
  double sum = 0;
  for (int i = 0; i <= half; ++i) {
    g[i] = std::exp(-(i - half) * (i - half) / (2 * 1.5 * 1.5));
    sum += i < half ? 2 * g[i] : g[i];
  }
  for (double& v : g) v /= sum;
  return g;
}

const std::array<double, half + 1> weights = gaussian();

// One band of windows. Rows come in at the bottom of a ring of 11; each window row is filtered vertically, then horizontally.
// All inner loops run over x with their sums in registers, and vectorise.
class Band {
 public:
  Band(const RowReader& a, const RowReader& b, int width, bool clamped)
      : a_(a),
        b_(b),
        width_(width),
        clamped_(clamped),
        ring_(static_cast<std::size_t>(window) * quantities * width),
        columns_(static_cast<std::size_t>(quantities) * width),
        similarity_(width),
        contrast_(width) {}

  void take_row(int y) {
    double *u = row(y, 0), *v = row(y, 1), *squares = row(y, 2), *product = row(y, 3);
    a_(y, u);
    b_(y, v);
#pragma GCC ivdep
    for (int x = 0; x < width_; ++x) {
      squares[x] = u[x] * u[x] + v[x] * v[x];
      product[x] = u[x] * v[x];
    }
  }

  // Sums over the windows whose top row is `y`; rows y .. y + 10 have been taken.
  WindowMeans sums_of_row(int y) {
    for (int quantity = 0; quantity < quantities; ++quantity) filter_columns(y, quantity);
    combine();
    WindowMeans sums;
    const int count = width_ - window + 1;
    for (int x = 0; x < count; ++x) {
      sums.similarity += similarity_[x];
      sums.contrast += contrast_[x];
    }
    return sums;
  }

 private:
  double* row(int y, int quantity) { return ring_.data() + static_cast<std::size_t>(y % window * quantities + quantity) * width_; }

  void filter_columns(int y, int quantity) {
    std::array<const double*, window> r{};
    for (int k = 0; k < window; ++k) r[k] = row(y + k, quantity);
    double* to = columns_.data() + static_cast<std::size_t>(quantity) * width_;
    const std::array<double, half + 1> g = weights;
#pragma GCC ivdep
    for (int x = 0; x < width_; ++x) {
      to[x] = g[5] * r[5][x] + g[4] * (r[4][x] + r[6][x]) + g[3] * (r[3][x] + r[7][x]) + g[2] * (r[2][x] + r[8][x]) +
              g[1] * (r[1][x] + r[9][x]) + g[0] * (r[0][x] + r[10][x]);
    }
  }

  void combine() {
    const double *a = columns_.data(), *b = a + width_, *s = b + width_, *p = s + width_;
    double *similarity = similarity_.data(), *contrast = contrast_.data();
    const std::array<double, half + 1> g = weights;
    const auto across = [&g](const double* r) {
      return g[5] * r[5] + g[4] * (r[4] + r[6]) + g[3] * (r[3] + r[7]) + g[2] * (r[2] + r[8]) + g[1] * (r[1] + r[9]) +
             g[0] * (r[0] + r[10]);
    };
    const double least = clamped_ ? 0 : -1e300;
    const int count = width_ - window + 1;
#pragma GCC ivdep
    for (int x = 0; x < count; ++x) {
      const double ma = across(a + x), mb = across(b + x), cross = ma * mb, power = ma * ma + mb * mb;
      const double structure = (2 * (across(p + x) - cross) + c2) / (across(s + x) - power + c2);
      contrast[x] = structure < least ? least : structure;
      similarity[x] = (2 * cross + c1) / (power + c1) * contrast[x];
    }
  }

  const RowReader &a_, &b_;
  int width_;
  bool clamped_;
  std::vector<double> ring_, columns_, similarity_, contrast_;
};

}  // namespace

WindowMeans ssim_windows(const RowReader& a, const RowReader& b, int width, int height, bool clamped, int threads) {
  const int rows = height - window + 1;
  std::vector<WindowMeans> row_sums(rows);  // added up in order: no effect of the threads
  parallel_rows(rows, rows_per_task, threads, [&](int first, int end) {
    Band band(a, b, width, clamped);
    for (int y = first; y < first + window - 1; ++y) band.take_row(y);
    for (int y = first; y < end; ++y) {
      band.take_row(y + window - 1);
      row_sums[y] = band.sums_of_row(y);
    }
  });
  WindowMeans means;
  for (const WindowMeans& sum : row_sums) {
    means.similarity += sum.similarity;
    means.contrast += sum.contrast;
  }
  const double count = static_cast<double>(rows) * (width - window + 1);
  return {means.similarity / count, means.contrast / count};
}

}  // namespace finpercep
