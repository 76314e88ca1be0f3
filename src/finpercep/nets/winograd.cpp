// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/winograd.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <vector>

namespace finpercep {

namespace {

constexpr int lanes = 8, side = 6, step = 4, products = side * side;
constexpr int64_t tiles_per_task = 96;  // 36 products of 96 x 64 floats: with their results they fit the second-level cache

using Lanes = float __attribute__((vector_size(lanes * sizeof(float))));

Lanes load(const float* from) {
  Lanes v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
void store(float* to, Lanes v) { std::memcpy(to, &v, sizeof v); }

// One dimension of the transform of the input (B') and of the products (A').
void transform_input(const Lanes d[side], Lanes out[side]) {
  const Lanes even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1], close = d[4] - d[2], far = 2 * (d[3] - d[1]);
  out[0] = 4 * d[0] - 5 * d[2] + d[4];
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = close + far;
  out[4] = close - far;
  out[5] = 4 * d[1] - 5 * d[3] + d[5];
}
void transform_output(const Lanes m[side], Lanes out[step]) {
  const Lanes sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  out[0] = m[0] + sum + sum2;
  out[1] = difference + 2 * difference2;
  out[2] = sum + 4 * sum2;
  out[3] = difference + 8 * difference2 + m[5];
}

// The 36 pixels of a tile; those outside the picture point at zeros.
using Pixels = std::array<const float*, products>;

void input_tile(const Pixels& pixels, int64_t channels, int64_t product_stride, float* to) {
  for (int64_t c = 0; c < channels; c += lanes) {
    Lanes d[side], columns[side][side], row[side], out[side];
    for (int j = 0; j < side; ++j) {
      for (int i = 0; i < side; ++i) d[i] = load(pixels[i * side + j] + c);
      transform_input(d, columns[j]);
    }
    for (int i = 0; i < side; ++i) {
      for (int j = 0; j < side; ++j) row[j] = columns[j][i];
      transform_input(row, out);
      for (int j = 0; j < side; ++j) store(to + (i * side + j) * product_stride + c, out[j]);
    }
  }
}

void output_tile(const float* from, int64_t channels, int64_t product_stride, const float* bias, const float* slopes, float* to,
                 int64_t row_stride, int rows, int columns) {
  const Lanes zero = {};
  for (int64_t c = 0; c < channels; c += lanes) {
    Lanes m[side], half[side][step], row[side], out[step];
    for (int j = 0; j < side; ++j) {
      for (int i = 0; i < side; ++i) m[i] = load(from + (i * side + j) * product_stride + c);
      transform_output(m, half[j]);
    }
    const Lanes b = load(bias + c), slope = load(slopes + c);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < side; ++j) row[j] = half[j][i];
      transform_output(row, out);
      for (int j = 0; j < columns; ++j) {
        const Lanes v = out[j] + b;
        store(to + i * row_stride + j * channels + c, v > zero ? v : v * slope);
      }
    }
  }
}

// The tile whose first pixel is (y0, x0).
Pixels pixels_of(const float* from, const float* zeros, int64_t height, int64_t width, int64_t channels, int64_t y0, int64_t x0) {
  Pixels pixels;
  for (int i = 0; i < side; ++i)
    for (int j = 0; j < side; ++j) {
      const bool inside = y0 + i >= 0 && y0 + i < height && x0 + j >= 0 && x0 + j < width;
      pixels[i * side + j] = inside ? from + ((y0 + i) * width + x0 + j) * channels : zeros;
    }
  return pixels;
}

}  // namespace

WinogradConv::WinogradConv(const Conv& conv, const at::Tensor& slopes) {
  TORCH_CHECK(conv.stride == 1 && conv.groups == 1 && conv.weight.size(2) == 3 && conv.weight.size(3) == 3 &&
                  conv.weight.size(0) % lanes == 0 && conv.weight.size(1) % lanes == 0,
              "winograd: expected a 3 x 3 convolution of stride 1 with channels in eights, found ", conv.weight.sizes());
  at::NoGradGuard no_grad;
  const at::Tensor g = at::tensor({1. / 4, 0., 0., -1. / 6, -1. / 6, -1. / 6, -1. / 6, 1. / 6, -1. / 6, 1. / 24, 1. / 12, 1. / 6, 1. / 24,
                                   -1. / 12, 1. / 6, 0., 0., 1.},
                                  at::kDouble)
                           .view({side, 3});
  // Both directions at once, as one product for all kernels: g w g' is (g kron g) times the nine weights.
  const at::Tensor both = at::kron(g, g).to(at::kFloat), nine = conv.weight.detach().to(at::kFloat).permute({2, 3, 1, 0}).reshape({9, -1});
  weights_ = both.mm(nine).view({products, conv.weight.size(1), conv.weight.size(0)});
  bias_ = conv.bias.detach().to(at::kFloat).contiguous();
  slopes_ = slopes.defined() ? slopes.detach().to(at::kFloat).contiguous() : at::zeros_like(bias_);
}

at::Tensor WinogradConv::operator()(const at::Tensor& x, bool top, bool bottom) const {
  const int64_t height = x.size(0), width = x.size(1), channels = x.size(2), outputs = bias_.size(0);
  const int64_t rows = height - 2 + top + bottom, across = (width + step - 1) / step, tiles = (rows + step - 1) / step * across;
  at::Tensor out = at::empty({rows, width, outputs}, x.options());
  const std::vector<float> zeros(channels, 0.0f);
  const float *from = x.const_data_ptr<float>(), *bias = bias_.const_data_ptr<float>(), *slopes = slopes_.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  // Each thread takes the next task, so that none waits for one that lost its core.
  const int64_t tasks = (tiles + tiles_per_task - 1) / tiles_per_task;
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, std::min<int64_t>(tasks, at::get_num_threads()), 1, [&](int64_t, int64_t) {
    const at::NoGradGuard no_grad;  // belongs to the thread
    const at::Tensor in = at::empty({products * tiles_per_task * channels}, x.options()),
                     result = at::empty({products * tiles_per_task * outputs}, x.options());
    for (int64_t task = next++; task < tasks; task = next++) {
      const int64_t first = task * tiles_per_task, count = std::min(tiles_per_task, tiles - first);
      for (int64_t t = 0; t < count; ++t) {
        const int64_t y0 = (first + t) / across * step - top, x0 = (first + t) % across * step - 1;
        input_tile(pixels_of(from, zeros.data(), height, width, channels, y0, x0), channels, count * channels,
                   in.data_ptr<float>() + t * channels);
      }
      at::Tensor product = result.narrow(0, 0, products * count * outputs).view({products, count, outputs});
      at::bmm_out(product, in.narrow(0, 0, products * count * channels).view({products, count, channels}), weights_);
      for (int64_t t = 0; t < count; ++t) {
        const int64_t y0 = (first + t) / across * step, x0 = (first + t) % across * step;
        output_tile(result.const_data_ptr<float>() + t * outputs, outputs, count * outputs, bias, slopes, to + (y0 * width + x0) * outputs,
                    width * outputs, static_cast<int>(std::min<int64_t>(step, rows - y0)),
                    static_cast<int>(std::min<int64_t>(step, width - x0)));
      }
    }
  });
  return out;
}

}  // namespace finpercep
