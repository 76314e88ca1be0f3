// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/blur.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace finpercep {
namespace {

// Eight floats at any address. GCC and Clang lower it to what the target has.
using Lanes = float __attribute__((vector_size(32), aligned(4), may_alias));

struct Tap {
  float weight;
  std::ptrdiff_t offset;  // from the pixel at x = 0 of the output row
};

// out[x] = sum over taps of weight * in[x + offset]. The sums stay in registers over all taps, and every pixel adds in the same order
// whichever of the three loops it falls in.
void correlate_row(const float* in, const std::vector<Tap>& taps, float* out, int width) {
  int x = 0;
  for (; x + 32 <= width; x += 32) {
    Lanes a = {}, b = {}, c = {}, d = {};
    for (const Tap& tap : taps) {
      const Lanes* p = reinterpret_cast<const Lanes*>(in + tap.offset + x);
      a += tap.weight * p[0];
      b += tap.weight * p[1];
      c += tap.weight * p[2];
      d += tap.weight * p[3];
    }
    Lanes* q = reinterpret_cast<Lanes*>(out + x);
    q[0] = a;
    q[1] = b;
    q[2] = c;
    q[3] = d;
  }
  for (; x + 8 <= width; x += 8) {
    Lanes a = {};
    for (const Tap& tap : taps) a += tap.weight * *reinterpret_cast<const Lanes*>(in + tap.offset + x);
    *reinterpret_cast<Lanes*>(out + x) = a;
  }
  for (; x < width; ++x) {
    float a = 0;
    for (const Tap& tap : taps) a += tap.weight * in[tap.offset + x];
    out[x] = a;
  }
}

// `row` holds `width` values from index `radius` on; both ends are filled by reflection.
void pad_row(float* row, int width, int radius) {
  for (int i = 1; i <= radius; ++i) {
    row[radius - i] = row[radius + reflect101(-i, width)];
    row[radius + width - 1 + i] = row[radius + reflect101(width - 1 + i, width)];
  }
}

Image filter_direct(const Image& image, const Kernel& kernel) {
  const int radius = kernel.size / 2, width = image.width, height = image.height;
  const std::ptrdiff_t stride = width + 2 * radius;
  std::vector<Tap> taps;
  for (int y = 0; y < kernel.size; ++y)
    for (int x = 0; x < kernel.size; ++x) {
      const float weight = kernel.weights[static_cast<std::size_t>(y) * kernel.size + x];
      if (weight != 0) taps.push_back({weight, y * stride + x});  // motion kernels are mostly zero
    }
  Image out(width, height, image.channels);
  std::vector<float> padded(static_cast<std::size_t>(stride) * (height + 2 * radius));
  for (int c = 0; c < image.channels; ++c) {
    for (int y = -radius; y < height + radius; ++y) {
      float* to = padded.data() + (y + radius) * stride;
      const float* from = image.plane(c) + static_cast<std::size_t>(reflect101(y, height)) * width;
      std::copy(from, from + width, to + radius);
      pad_row(to, width, radius);
    }
    for (int y = 0; y < height; ++y)
      correlate_row(padded.data() + y * stride, taps, out.plane(c) + static_cast<std::size_t>(y) * width, width);
  }
  return out;
}

double squared_distance(const KernelSpec& spec, bool iso, double x, double y) {
  if (iso) return (x * x + y * y) / (spec.sigma_x * spec.sigma_x);
  const double along = std::cos(spec.rotation) * x + std::sin(spec.rotation) * y;
  const double across = -std::sin(spec.rotation) * x + std::cos(spec.rotation) * y;
  return along * along / (spec.sigma_x * spec.sigma_x) + across * across / (spec.sigma_y * spec.sigma_y);
}

double sinc_weight(double omega, double r) {
  if (r == 0) return omega * omega / (4 * std::numbers::pi);
  return omega * std::cyl_bessel_j(1.0, omega * r) / (2 * std::numbers::pi * r);
}

}  // namespace

int reflect101(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * n - 2;
  i = std::abs(i) % period;
  return i < n ? i : period - i;
}

std::vector<float> gaussian_row(int size, double sigma) {
  std::vector<double> row(size);
  double sum = 0;
  for (int i = 0; i < size; ++i) {
    const double d = (i - size / 2) / sigma;
    sum += row[i] = std::exp(-0.5 * d * d);
  }
  std::vector<float> out(size);
  for (int i = 0; i < size; ++i) out[i] = static_cast<float>(row[i] / sum);
  return out;
}

Kernel make_kernel(const KernelSpec& spec) {
  const int size = spec.size, centre = size / 2;
  const bool iso = spec.kind == KernelKind::iso || spec.kind == KernelKind::generalized_iso || spec.kind == KernelKind::plateau_iso;
  Kernel kernel;
  kernel.size = size;
  if (spec.kind == KernelKind::iso) kernel.row = gaussian_row(size, spec.sigma_x);
  std::vector<double> weights(static_cast<std::size_t>(size) * size);
  const auto at = [&](int y, int x) -> double& { return weights[static_cast<std::size_t>(centre + y) * size + centre + x]; };
  if (spec.kind == KernelKind::sinc) {
    // Bessel functions are slow; one eighth of the plane determines the rest.
    for (int y = 0; y <= centre; ++y)
      for (int x = y; x <= centre; ++x) {
        const double value = sinc_weight(spec.omega, std::sqrt(static_cast<double>(x * x + y * y)));
        for (const int v : {-y, y})
          for (const int u : {-x, x}) at(v, u) = at(u, v) = value;
      }
  } else {
    for (int y = -centre; y <= centre; ++y)
      for (int x = -centre; x <= centre; ++x) {
        const double q = squared_distance(spec, iso, x, y);
        switch (spec.kind) {
          case KernelKind::generalized_iso:
          case KernelKind::generalized_aniso: at(y, x) = std::exp(-0.5 * std::pow(q, spec.beta)); break;
          case KernelKind::plateau_iso:
          case KernelKind::plateau_aniso: at(y, x) = 1 / (1 + std::pow(q, spec.beta)); break;
          default: at(y, x) = std::exp(-0.5 * q);
        }
      }
  }
  double sum = 0;
  for (const double weight : weights) sum += weight;
  kernel.weights.resize(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) kernel.weights[i] = static_cast<float>(weights[i] / sum);
  return kernel;
}

Image filter_separable(const Image& image, const std::vector<float>& row) {
  const int size = static_cast<int>(row.size()), radius = size / 2, width = image.width, height = image.height;
  Image out(width, height, image.channels);
  std::vector<Tap> down(size), along(size);
  for (int i = 0; i < size; ++i) along[i] = {row[i], i};
  std::vector<float> line(static_cast<std::size_t>(width) + 2 * radius);
  for (int c = 0; c < image.channels; ++c)
    for (int y = 0; y < height; ++y) {
      for (int i = 0; i < size; ++i) down[i] = {row[i], static_cast<std::ptrdiff_t>(reflect101(y + i - radius, height)) * width};
      correlate_row(image.plane(c), down, line.data() + radius, width);
      pad_row(line.data(), width, radius);
      correlate_row(line.data(), along, out.plane(c) + static_cast<std::size_t>(y) * width, width);
    }
  return out;
}

Image filter2d(const Image& image, const Kernel& kernel) {
  return kernel.row.empty() ? filter_direct(image, kernel) : filter_separable(image, kernel.row);
}

Image unsharp_mask(const Image& image) {
  static const std::vector<float> row = gaussian_row(51, 8.0);
  constexpr float weight = 0.5f, threshold = 10.0f;
  Image residual = filter_separable(image, row);
  Image mask(image.width, image.height, image.channels);
  for (std::size_t i = 0; i < image.data.size(); ++i) {
    residual.data[i] = image.data[i] - residual.data[i];
    mask.data[i] = std::abs(residual.data[i]) * 255.0f > threshold ? 1.0f : 0.0f;
  }
  Image out = filter_separable(mask, row);
  for (std::size_t i = 0; i < image.data.size(); ++i) {
    const float sharp = std::clamp(image.data[i] + weight * residual.data[i], 0.0f, 1.0f);
    out.data[i] = image.data[i] + out.data[i] * (sharp - image.data[i]);
  }
  return out;
}

}  // namespace finpercep
