// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/blur.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace finpercep {
namespace {

// Index of the mirrored pixel for any integer i.
int reflect101(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * n - 2;
  i = std::abs(i) % period;
  return i < n ? i : period - i;
}

// Eight floats at any address. GCC and Clang lower it to what the target has.
using Lanes = float __attribute__((vector_size(32), aligned(4), may_alias));

struct Tap {
  float weight;
  std::ptrdiff_t offset;  // from the pixel at x = 0 of the output row
};

// Eight lanes at a time: enough sums in flight to hide the latency of an addition.
template <int count>
void correlate_block(const float* in, const std::vector<Tap>& taps, float* out) {
  Lanes sum[count] = {};
  for (const Tap& tap : taps) {
    const Lanes* p = reinterpret_cast<const Lanes*>(in + tap.offset);
    for (int i = 0; i < count; ++i) sum[i] += tap.weight * p[i];
  }
  for (int i = 0; i < count; ++i) reinterpret_cast<Lanes*>(out)[i] = sum[i];
}

// out[x] = sum over taps of weight * in[x + offset]. The sums stay in registers over all taps, and every pixel adds in the same order
// whichever of the loops it falls in.
void correlate_row(const float* in, const std::vector<Tap>& taps, float* out, int width) {
  int x = 0;
  for (; x + 64 <= width; x += 64) correlate_block<8>(in + x, taps, out + x);
  for (; x + 32 <= width; x += 32) correlate_block<4>(in + x, taps, out + x);
  for (; x + 8 <= width; x += 8) correlate_block<1>(in + x, taps, out + x);
  for (; x < width; ++x) {
    float a = 0;
    for (const Tap& tap : taps) a += tap.weight * in[tap.offset + x];
    out[x] = a;
  }
}

// Four rows of output share the input rows that they have in common, so that those are fetched once. `rows` points to the size + 3
// input rows; `weights` is the column of the kernel between three zeros at either end.
constexpr int kRows = 4;

template <int count>
void weigh_block(const float* const* rows, const float* weights, int size, int x, float* const* out) {
  Lanes sum[kRows][count] = {};
  for (int j = 0; j < size + kRows - 1; ++j) {
    const Lanes* p = reinterpret_cast<const Lanes*>(rows[j] + x);
    for (int r = 0; r < kRows; ++r)
      for (int i = 0; i < count; ++i) sum[r][i] += weights[j - r + kRows - 1] * p[i];
  }
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < count; ++i) reinterpret_cast<Lanes*>(out[r] + x)[i] = sum[r][i];
}

void weigh_rows(const float* const* rows, const float* weights, int size, int width, float* const* out) {
  int x = 0;
  for (; x + 16 <= width; x += 16) weigh_block<2>(rows, weights, size, x, out);
  for (; x + 8 <= width; x += 8) weigh_block<1>(rows, weights, size, x, out);
  for (; x < width; ++x)
    for (int r = 0; r < kRows; ++r) {
      float a = 0;
      for (int j = 0; j < size + kRows - 1; ++j) a += weights[j - r + kRows - 1] * rows[j][x];
      out[r][x] = a;
    }
}

// `row` holds `width` values from index `radius` on; both ends are filled by reflection.
void pad_row(float* row, int width, int radius) {
  for (int i = 1; i <= radius; ++i) {
    row[radius - i] = row[radius + reflect101(-i, width)];
    row[radius + width - 1 + i] = row[radius + reflect101(width - 1 + i, width)];
  }
}

// weights[y][x] = sum over terms of down[y] * along[x].
struct Term {
  std::vector<float> down, along;
};

// Kernels of photographs are smooth, so a few crosses of rows and columns give all their weights: from what is left, the row and column of
// the largest element are taken (adaptive cross approximation, Bebendorf 2000). Empty when that costs more than adding all weights.
std::vector<Term> split_into_terms(const Kernel& kernel, std::size_t taps) {
  constexpr double kLeft = 2e-6;  // sum of |error| over the weights: no pixel of a picture in [0,1] is further off
  const int size = kernel.size;
  std::vector<double> rest(kernel.weights.begin(), kernel.weights.end());
  std::vector<Term> terms;
  for (;;) {
    double left = 0;
    std::size_t best = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      left += std::abs(rest[i]);
      if (std::abs(rest[i]) > std::abs(rest[best])) best = i;
    }
    if (left < kLeft) return terms;
    if ((terms.size() + 1) * 2 * size >= taps) return {};
    const std::size_t y0 = best / size, x0 = best % size;
    const double scale = std::sqrt(std::abs(rest[best])), sign = rest[best] < 0 ? -1 : 1;  // both factors of like size
    Term term{std::vector<float>(size), std::vector<float>(size)};
    for (int i = 0; i < size; ++i) {
      term.down[i] = static_cast<float>(rest[i * size + x0] / scale);
      term.along[i] = static_cast<float>(rest[y0 * size + i] / scale * sign);
    }
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) rest[static_cast<std::size_t>(y) * size + x] -= static_cast<double>(term.down[y]) * term.along[x];
    terms.push_back(std::move(term));
  }
}

Image filter_terms(const Image& image, const std::vector<Term>& terms) {
  const int size = static_cast<int>(terms[0].down.size()), radius = size / 2, width = image.width, height = image.height;
  const int stride = width + 2 * radius;
  std::vector<Tap> along;
  std::vector<std::vector<float>> down;
  for (const Term& term : terms) {
    for (int i = 0; i < size; ++i) along.push_back({term.along[i], static_cast<std::ptrdiff_t>(down.size()) * kRows * stride + i});
    down.emplace_back(size + 2 * (kRows - 1));
    std::copy(term.down.begin(), term.down.end(), down.back().begin() + kRows - 1);
  }
  Image out(width, height, image.channels);
  std::vector<float> lines(terms.size() * kRows * stride);  // of each term the four rows, weighed downwards
  std::vector<const float*> rows(height + 2 * radius + kRows - 1);
  for (int c = 0; c < image.channels; ++c) {
    for (int i = 0; i < static_cast<int>(rows.size()); ++i)
      rows[i] = image.plane(c) + static_cast<std::size_t>(reflect101(i - radius, height)) * width;
    for (int y = 0; y < height; y += kRows) {
      const int count = std::min(kRows, height - y);
      for (std::size_t t = 0; t < terms.size(); ++t) {
        float* line[kRows];
        for (int r = 0; r < kRows; ++r) line[r] = lines.data() + (t * kRows + r) * stride + radius;
        weigh_rows(rows.data() + y, down[t].data(), size, width, line);
        for (int r = 0; r < count; ++r) pad_row(line[r] - radius, width, radius);
      }
      for (int r = 0; r < count; ++r)
        correlate_row(lines.data() + static_cast<std::size_t>(r) * stride, along, out.plane(c) + static_cast<std::size_t>(y + r) * width,
                      width);
    }
  }
  return out;
}

Image filter_direct(const Image& image, const Kernel& kernel, const std::vector<int>& used) {
  const int radius = kernel.size / 2, width = image.width, height = image.height;
  const std::ptrdiff_t stride = width + 2 * radius;
  std::vector<Tap> taps;
  for (const int i : used) taps.push_back({kernel.weights[i], i / kernel.size * stride + i % kernel.size});
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

// The outer weights of a narrow kernel are too small to be seen.
std::vector<float> without_ends(const std::vector<float>& row) {
  constexpr float kSeen = 1e-8f;
  std::size_t cut = 0;
  while (2 * cut + 1 < row.size() && std::abs(row[cut]) < kSeen && std::abs(row[row.size() - 1 - cut]) < kSeen) ++cut;
  return {row.begin() + static_cast<std::ptrdiff_t>(cut), row.end() - static_cast<std::ptrdiff_t>(cut)};
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
          case KernelKind::generalized_aniso:
            at(y, x) = std::exp(-0.5 * std::pow(q, spec.beta));
            break;
          case KernelKind::plateau_iso:
          case KernelKind::plateau_aniso:
            at(y, x) = 1 / (1 + std::pow(q, spec.beta));
            break;
          default:
            at(y, x) = std::exp(-0.5 * q);
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
  const std::vector<float> used = without_ends(row);
  return filter_terms(image, {{used, used}});
}

Image blur_by(const Image& image, double sigma) {
  return filter_separable(image, gaussian_row(2 * static_cast<int>(std::ceil(3 * sigma)) + 1, sigma));
}

// Measured at 21 x 21 on 400 x 400: direct 441 taps, or 3 to 6 terms of 42. A Fourier transform would need about as much arithmetic as
// 100 taps, and passes over memory between its steps.
Image filter2d(const Image& image, const Kernel& kernel) {
  if (!kernel.row.empty()) return filter_separable(image, kernel.row);
  std::vector<int> used;
  for (std::size_t i = 0; i < kernel.weights.size(); ++i)
    if (std::abs(kernel.weights[i]) > 1e-9f) used.push_back(static_cast<int>(i));  // motion kernels are mostly zero
  const std::vector<Term> terms = split_into_terms(kernel, used.size());
  return terms.empty() ? filter_direct(image, kernel, used) : filter_terms(image, terms);
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
