// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

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

using Four = double __attribute__((vector_size(32)));
using Mask = int64_t __attribute__((vector_size(32)));

// Where the mask is set (all bits), the value; elsewhere 0.
Four where(Mask mask, Four value) { return reinterpret_cast<Four>(mask & reinterpret_cast<Mask>(value)); }

// Sums in four lanes; `four(x)` gives the values from x on, `one(x)` a single one.
template <class Some, class One>
SignedMoments moments(int count, const Some& four, const One& one) {
  Four left = {}, right = {}, magnitude = {};
  Mask left_count = {}, right_count = {};
  int x = 0;
  for (; x + 4 <= count; x += 4) {
    const Four v = four(x), square = v * v, zero = {};
    const Mask below = v<zero, above = v> zero;
    left += where(below, square);
    right += where(above, square);
    left_count -= below;
    right_count -= above;
    magnitude += where(above, v) - where(below, v);
  }
  SignedMoments out;
  for (int k = 0; k < 4; ++k)
    out.add({left[k], right[k], static_cast<double>(left_count[k]), static_cast<double>(right_count[k]), magnitude[k], 0});
  for (; x < count; ++x) {
    const double v = one(x), square = v * v;
    out.add({v < 0 ? square : 0, v > 0 ? square : 0, v < 0 ? 1. : 0., v > 0 ? 1. : 0., std::abs(v), 0});
  }
  out.count = count;
  return out;
}

template <class T>
Four load_four(const T* from) {
  T values __attribute__((vector_size(4 * sizeof(T))));
  std::memcpy(&values, from, sizeof values);
  return __builtin_convertvector(values, Four);
}

template <class T>
Four product_of_four(const T* a, const T* b) {
  T u __attribute__((vector_size(4 * sizeof(T)))), v __attribute__((vector_size(4 * sizeof(T))));
  std::memcpy(&u, a, sizeof u);
  std::memcpy(&v, b, sizeof v);
  return __builtin_convertvector(u * v, Four);  // multiplied in the precision of T
}

template <class T>
SignedMoments products(int count, const T* a, const T* b) {
  return moments(
      count, [=](int x) { return product_of_four(a + x, b + x); }, [=](int x) { return static_cast<double>(a[x] * b[x]); });
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
  return moments(
      block.width, [row](int x) { return load_four(row + x); }, [row](int x) { return static_cast<double>(row[x]); });
}

template <class T>
SignedMoments moments_of_products(const Block<T>& block, int y, int dy, int dx) {
  const int other_y = (y - dy + block.height) % block.height, last = block.width - 1;
  const T *row = block.values + y * block.stride, *other = block.values + other_y * block.stride;
  if (dx == 0) return products(block.width, row, other);
  SignedMoments out = dx > 0 ? products(last, row + 1, other) : products(last, row, other + 1);
  out.add(dx > 0 ? products(1, row, other + last) : products(1, row + last, other));  // round the edge
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
