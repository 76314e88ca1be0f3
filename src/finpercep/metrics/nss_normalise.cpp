// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "finpercep/base/parallel.h"
#include "finpercep/metrics/nss.h"

namespace finpercep {

namespace {

constexpr int window = 7, half = window / 2;
constexpr int rows_per_task = 32;

double product_sum(const std::array<double, window>& w, bool as_float) {
  double sum = 0;
  for (double u : w)
    for (double v : w) sum += as_float ? static_cast<double>(static_cast<float>(u * v)) : u * v;
  return sum;
}

}  // namespace

LocalWindow LocalWindow::exact() {
  LocalWindow out;
  double sum = 0;
  for (int i = 0; i < window; ++i) {
    const double t = (i - half) / (7. / 6);
    sum += out.weights[i] = std::exp(-t * t / 2);
  }
  for (double& w : out.weights) w /= sum;
  return out;
}

LocalWindow LocalWindow::of_float32() {
  LocalWindow out = exact();
  const double factor = std::sqrt(product_sum(out.weights, true) / product_sum(out.weights, false));
  for (double& w : out.weights) w *= factor;
  return out;
}

std::vector<double> contrast_normalised(const std::vector<double>& plane, int width, int height, const LocalWindow& given, int threads) {
  std::vector<double> out(plane.size());
  const std::array<double, window> w = given.weights;
  parallel_rows(height, rows_per_task, threads, [&](int first, int end) {
    std::vector<double> means(width + 2 * half), mean_squares(width + 2 * half);
    for (int y = first; y < end; ++y) {
      std::array<const double*, window> r{};
      for (int k = 0; k < window; ++k) r[k] = plane.data() + static_cast<std::size_t>(std::clamp(y + k - half, 0, height - 1)) * width;
      double *mean = means.data() + half, *squares = mean_squares.data() + half;
#pragma GCC ivdep
      for (int x = 0; x < width; ++x) {
        mean[x] = w[3] * r[3][x] + w[2] * (r[2][x] + r[4][x]) + w[1] * (r[1][x] + r[5][x]) + w[0] * (r[0][x] + r[6][x]);
        squares[x] = w[3] * (r[3][x] * r[3][x]) + w[2] * (r[2][x] * r[2][x] + r[4][x] * r[4][x]) +
                     w[1] * (r[1][x] * r[1][x] + r[5][x] * r[5][x]) + w[0] * (r[0][x] * r[0][x] + r[6][x] * r[6][x]);
      }
      for (int k = 1; k <= half; ++k) {
        mean[-k] = mean[0];
        squares[-k] = squares[0];
        mean[width - 1 + k] = mean[width - 1];
        squares[width - 1 + k] = squares[width - 1];
      }
      const double* from = r[half];
      double* to = out.data() + static_cast<std::size_t>(y) * width;
      const auto across = [&w](const double* c) {
        return w[3] * c[0] + w[2] * (c[-1] + c[1]) + w[1] * (c[-2] + c[2]) + w[0] * (c[-3] + c[3]);
      };
#pragma GCC ivdep
      for (int x = 0; x < width; ++x) {
        const double m = across(mean + x), s = across(squares + x);
        to[x] = (from[x] - m) / (std::sqrt(std::abs(s - m * m)) + 1);
      }
    }
  });
  return out;
}

std::vector<float> contrast_normalised(const std::vector<float>& plane, int width, int height, int threads) {
  const std::array<double, window> exact = LocalWindow::exact().weights;
  float w[window][window];
  for (int i = 0; i < window; ++i)
    for (int j = 0; j < window; ++j) w[i][j] = static_cast<float>(exact[i] * exact[j]);
  const int padded = width + 2 * half;
  std::vector<float> out(plane.size());
  parallel_rows(height, rows_per_task, threads, [&](int first, int end) {
    std::vector<float> values(window * padded), squares(window * padded);
    for (int y = first; y < end; ++y) {
      for (int k = 0; k < window; ++k) {
        float *value = values.data() + k * padded + half, *square = squares.data() + k * padded + half;
        const int source = y + k - half;
        if (source < 0 || source >= height) {
          std::fill_n(value, width, 0.0f);
          std::fill_n(square, width, 0.0f);
          continue;
        }
        const float* from = plane.data() + static_cast<std::size_t>(source) * width;
        for (int x = 0; x < width; ++x) {
          value[x] = from[x];
          square[x] = from[x] * from[x];
        }
      }
      const float *value = values.data(), *square = squares.data();
      const float* from = plane.data() + static_cast<std::size_t>(y) * width;
      float* to = out.data() + static_cast<std::size_t>(y) * width;
#pragma GCC ivdep
      for (int x = 0; x < width; ++x) {
        float m = 0, s = 0;
        for (int i = 0; i < window; ++i)
          for (int j = 0; j < window; ++j) {
            m = std::fma(w[i][j], value[i * padded + x + j], m);
            s = std::fma(w[i][j], square[i * padded + x + j], s);
          }
        to[x] = (from[x] - m) / (std::sqrt(std::abs(s - m * m)) + 1);
      }
    }
  });
  return out;
}

}  // namespace finpercep
