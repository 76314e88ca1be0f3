// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "finpercep/metrics/nss.h"

namespace finpercep {

namespace {

constexpr int shapes = 9801;  // .2, .201, .. 10

double shape_at(int index) { return .2 + .001 * index; }

// E|x|^2 / E x^2 of a generalised Gaussian: rises with the shape.
const std::vector<double>& ratios() {
  static const std::vector<double> table = [] {
    std::vector<double> values(shapes);
    for (int i = 0; i < shapes; ++i) {
      const double a = shape_at(i);
      values[i] = std::exp(2 * std::lgamma(2 / a) - std::lgamma(1 / a) - std::lgamma(3 / a));
    }
    return values;
  }();
  return table;
}

// The shape whose ratio is nearest.
double shape_of(double ratio) {
  const std::vector<double>& table = ratios();
  if (std::isnan(ratio)) return shape_at(0);
  const auto above = std::lower_bound(table.begin(), table.end(), ratio);
  if (above == table.begin()) return shape_at(0);
  if (above == table.end()) return shape_at(shapes - 1);
  const int index = static_cast<int>(above - table.begin());
  return shape_at(ratio - table[index - 1] <= table[index] - ratio ? index - 1 : index);
}

// Sums in four lanes, which the compiler makes one register; the order is fixed, so the result does not hang on its flags.
template <class Value>
SignedMoments moments(int count, const Value& value) {
  constexpr int lanes = 4;
  double left[lanes] = {}, right[lanes] = {}, left_count[lanes] = {}, right_count[lanes] = {}, magnitude[lanes] = {};
  int x = 0;
  for (; x + lanes <= count; x += lanes)
    for (int k = 0; k < lanes; ++k) {
      const double v = value(x + k), square = v * v;
      left[k] += v < 0 ? square : 0;
      right[k] += v > 0 ? square : 0;
      left_count[k] += v < 0 ? 1 : 0;
      right_count[k] += v > 0 ? 1 : 0;
      magnitude[k] += std::abs(v);
    }
  SignedMoments out;
  for (int k = 0; k < lanes; ++k) out.add({left[k], right[k], left_count[k], right_count[k], magnitude[k], 0});
  for (; x < count; ++x) {
    const double v = value(x), square = v * v;
    out.add({v < 0 ? square : 0, v > 0 ? square : 0, v < 0 ? 1. : 0., v > 0 ? 1. : 0., std::abs(v), 0});
  }
  out.count = count;
  return out;
}

}  // namespace

void SignedMoments::add(const SignedMoments& other) {
  left += other.left;
  right += other.right;
  left_count += other.left_count;
  right_count += other.right_count;
  magnitude += other.magnitude;
  count += other.count;
}

template <class T>
SignedMoments moments_of_row(const Block<T>& block, int y) {
  const T* row = block.values + y * block.stride;
  return moments(block.width, [row](int x) { return static_cast<double>(row[x]); });
}

template <class T>
SignedMoments moments_of_products(const Block<T>& block, int y, int dy, int dx) {
  const int other_y = (y - dy + block.height) % block.height, last = block.width - 1;
  const T *row = block.values + y * block.stride, *other = block.values + other_y * block.stride;
  if (dx == 0) return moments(block.width, [=](int x) { return static_cast<double>(row[x] * other[x]); });
  const T *first = dx > 0 ? row + 1 : row, *second = dx > 0 ? other : other + 1;
  SignedMoments out = moments(last, [=](int x) { return static_cast<double>(first[x] * second[x]); });
  const T round_the_edge = dx > 0 ? row[0] * other[last] : row[last] * other[0];
  out.add(moments(1, [=](int) { return static_cast<double>(round_the_edge); }));
  return out;
}

template SignedMoments moments_of_row(const Block<float>&, int);
template SignedMoments moments_of_row(const Block<double>&, int);
template SignedMoments moments_of_products(const Block<float>&, int, int, int);
template SignedMoments moments_of_products(const Block<double>&, int, int, int);

double gaussian_shape(const SignedMoments& m) { return shape_of(m.magnitude * m.magnitude / (m.count * (m.left + m.right))); }

AsymmetricFit asymmetric_fit(const SignedMoments& m) {
  AsymmetricFit fit;
  fit.left = std::sqrt(m.left / m.left_count);
  fit.right = std::sqrt(m.right / m.right_count);
  const double g = fit.left / fit.right;
  const double ratio = m.magnitude * m.magnitude / (m.count * (m.left + m.right));
  fit.shape = shape_of(ratio * (g * g * g + 1) * (g + 1) / ((g * g + 1) * (g * g + 1)));
  const double a = fit.shape, scale = std::exp((std::lgamma(1 / a) - std::lgamma(3 / a)) / 2);
  fit.left_scale = fit.left * scale;
  fit.right_scale = fit.right * scale;
  fit.mean = (fit.right_scale - fit.left_scale) * std::exp(std::lgamma(2 / a) - std::lgamma(1 / a));
  return fit;
}

}  // namespace finpercep
