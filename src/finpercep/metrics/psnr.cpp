// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/psnr.h"

#include <algorithm>
#include <cmath>

#include "finpercep/base/parallel.h"

namespace finpercep {

namespace {

constexpr int rows_per_task = 64;

}  // namespace

double psnr(const Image& sr, const Image& ref, const PsnrOptions& options) {
  require_same_size(sr, ref, "psnr");
  const ComparedRows a(sr, options.channels, options.crop_border, false), b(ref, options.channels, options.crop_border, false);
  const int width = a.width(), height = a.height(), rows = a.planes() * height;
  std::vector<double> row_sums(rows);  // added up in order: no effect of the threads
  parallel_rows(rows, rows_per_task, options.threads, [&](int first, int end) {
    std::vector<double> u(width), v(width);
    for (int i = first; i < end; ++i) {
      a.read(i / height, i % height, u.data());
      b.read(i / height, i % height, v.data());
      // Four chains of additions instead of one: the adder's latency is what a single one would wait for.
      double lanes[4] = {};
      int x = 0;
      for (; x + 4 <= width; x += 4)
        for (int lane = 0; lane < 4; ++lane) lanes[lane] += (u[x + lane] - v[x + lane]) * (u[x + lane] - v[x + lane]);
      for (; x < width; ++x) lanes[0] += (u[x] - v[x]) * (u[x] - v[x]);
      row_sums[i] = lanes[0] + lanes[1] + lanes[2] + lanes[3];
    }
  });
  double total = 0;
  for (double sum : row_sums) total += sum;
  return -10 * std::log10(std::max(total / (static_cast<double>(rows) * width) / (255.0 * 255.0) + options.added, options.floor));
}

}  // namespace finpercep
