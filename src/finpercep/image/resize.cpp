// SPDX-License-Identifier: Apache-2.0
// Every method is separable: each output row (column) is a weighted sum of a few input rows (columns). The methods differ only in
// the table of weights. Coordinates of the torch methods are computed in float32, because ATen's are.
#include "finpercep/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "finpercep/base/error.h"

namespace finpercep {
namespace {

// Output i = sum over k < taps of weight[i * taps + k] * input[index[i * taps + k]].
struct Weights {
  int outputs = 0;
  int taps = 0;
  std::vector<int> index;
  std::vector<float> weight;

  Weights(int outputs_in, int taps_in)
      : outputs(outputs_in),
        taps(taps_in),
        index(static_cast<std::size_t>(outputs_in) * taps_in),
        weight(static_cast<std::size_t>(outputs_in) * taps_in) {}
  void set(int output, int tap, int source, double value) {
    index[static_cast<std::size_t>(output) * taps + tap] = source;
    weight[static_cast<std::size_t>(output) * taps + tap] = static_cast<float>(value);
  }
};

// Cubic convolution (Keys, 1981) with free parameter a.
template <class Float>
Float cubic(Float x, Float a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
  return 0;
}

Weights nearest_weights(int in, int out, float step) {
  Weights w(out, 1);
  for (int i = 0; i < out; ++i) w.set(i, 0, std::min(static_cast<int>(std::floor(static_cast<float>(i) * step)), in - 1), 1);
  return w;
}

Weights area_weights(int in, int out) {
  const auto first = [&](int i) { return static_cast<int>(int64_t{i} * in / out); };
  const auto last = [&](int i) { return static_cast<int>(((int64_t{i} + 1) * in + out - 1) / out); };
  int taps = 1;
  for (int i = 0; i < out; ++i) taps = std::max(taps, last(i) - first(i));
  Weights w(out, taps);
  for (int i = 0; i < out; ++i) {
    const int begin = first(i), count = last(i) - begin;
    for (int k = 0; k < taps; ++k) w.set(i, k, std::min(begin + k, in - 1), k < count ? 1.0 / count : 0.0);
  }
  return w;
}

Weights bilinear_weights(int in, int out, float step) {
  Weights w(out, 2);
  for (int i = 0; i < out; ++i) {
    const float at = std::max(0.0f, step * (static_cast<float>(i) + 0.5f) - 0.5f);
    const int left = std::min(static_cast<int>(at), in - 1);
    const float t = std::clamp(at - static_cast<float>(left), 0.0f, 1.0f);
    w.set(i, 0, left, 1.0f - t);
    w.set(i, 1, std::min(left + 1, in - 1), t);
  }
  return w;
}

Weights bicubic_weights(int in, int out, float step) {
  Weights w(out, 4);
  for (int i = 0; i < out; ++i) {
    const float at = step * (static_cast<float>(i) + 0.5f) - 0.5f;
    const int left = std::min(static_cast<int>(std::floor(at)), in - 1);
    const float t = std::clamp(at - static_cast<float>(left), 0.0f, 1.0f);
    for (int k = 0; k < 4; ++k) {
      w.set(i, k, std::clamp(left - 1 + k, 0, in - 1), cubic(t + 1.0f - static_cast<float>(k), -0.75f));
    }
  }
  return w;
}

// The kernel grows with the step when shrinking and is cut and renormalised at the border.
Weights antialias_weights(int in, int out, float step) {
  const float stretch = std::max(step, 1.0f);
  const float support = 2.0f * stretch;
  const int taps = std::min(in, static_cast<int>(std::ceil(support)) * 2 + 1);
  Weights w(out, taps);
  for (int i = 0; i < out; ++i) {
    const auto centre = static_cast<float>(step * (i + 0.5));
    const int begin = std::min(std::max(static_cast<int>(centre - support + 0.5), 0), in - 1);
    const int count = std::clamp(std::min(static_cast<int>(centre + support + 0.5), in) - begin, 1, taps);
    double sum = 0;
    for (int k = 0; k < count; ++k) sum += cubic((k + begin - centre + 0.5) / stretch, -0.5);
    for (int k = 0; k < taps; ++k) {
      const double value = k < count ? cubic((k + begin - centre + 0.5) / stretch, -0.5) / sum : 0.0;
      w.set(i, k, std::min(begin + k, in - 1), value);
    }
  }
  return w;
}

// imresize.m: like the above, but the picture is mirrored at its border (edge pixel repeated) instead of the kernel being cut.
Weights matlab_weights(int in, int out, double scale) {
  const double shrink = std::min(scale, 1.0);
  const double width = 4.0 / shrink;
  const int taps = static_cast<int>(std::ceil(width)) + 2;
  Weights w(out, taps);
  std::vector<double> values(taps);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) / scale - 0.5;  // counted from 0
    const auto begin = static_cast<int64_t>(std::floor(centre - width / 2));
    double sum = 0;
    for (int k = 0; k < taps; ++k) sum += values[k] = cubic(shrink * (centre - static_cast<double>(begin + k)), -0.5);
    for (int k = 0; k < taps; ++k) {
      const int64_t period = 2 * int64_t{in};
      const int64_t at = ((begin + k) % period + period) % period;
      w.set(i, k, static_cast<int>(at < in ? at : period - 1 - at), values[k] / sum);
    }
  }
  return w;
}

// Tables are made for the worst case; taps that are zero in every row at either end are dropped.
Weights trimmed(const Weights& w) {
  int first = w.taps, last = -1;
  for (int i = 0; i < w.outputs; ++i) {
    for (int k = 0; k < w.taps; ++k) {
      if (w.weight[static_cast<std::size_t>(i) * w.taps + k] == 0.0f) continue;
      first = std::min(first, k);
      last = std::max(last, k);
    }
  }
  if (last < first || last - first + 1 == w.taps) return w;
  Weights result(w.outputs, last - first + 1);
  for (int i = 0; i < w.outputs; ++i) {
    for (int k = first; k <= last; ++k) {
      const std::size_t from = static_cast<std::size_t>(i) * w.taps + k;
      result.set(i, k - first, w.index[from], w.weight[from]);
    }
  }
  return result;
}

/// `scale` 0: defined by the sizes.
Weights weights_for(Resize method, int in, int out, double scale) {
  const float step = scale > 0 ? static_cast<float>(1.0 / scale) : static_cast<float>(in) / static_cast<float>(out);
  switch (method) {
    case Resize::nearest:
      return nearest_weights(in, out, step);
    case Resize::area:
      return area_weights(in, out);
    case Resize::bilinear:
      return bilinear_weights(in, out, step);
    case Resize::bicubic:
      return bicubic_weights(in, out, step);
    case Resize::bicubic_aa:
      return trimmed(antialias_weights(in, out, step));
    case Resize::bicubic_matlab:
      return trimmed(matlab_weights(in, out, scale > 0 ? scale : static_cast<double>(out) / in));
  }
  throw internal_error("resize: unknown method");
}

/// out[x] = sum of taps rows; four rows a pass keep the sum in registers.
void weigh_rows(const float* const* rows, const float* weight, int taps, int count, float* __restrict out) {
  bool fresh = true;
  int k = 0;
  for (; k + 4 <= taps; k += 4) {
    const float* __restrict a = rows[k], * __restrict b = rows[k + 1], * __restrict c = rows[k + 2], * __restrict d = rows[k + 3];
    const float wa = weight[k], wb = weight[k + 1], wc = weight[k + 2], wd = weight[k + 3];
    if (fresh) {
      for (int x = 0; x < count; ++x) out[x] = (wa * a[x] + wb * b[x]) + (wc * c[x] + wd * d[x]);
      fresh = false;
    } else {
      for (int x = 0; x < count; ++x) out[x] += (wa * a[x] + wb * b[x]) + (wc * c[x] + wd * d[x]);
    }
  }
  for (; k < taps; ++k) {
    const float* __restrict a = rows[k];
    const float wa = weight[k];
    if (fresh) {
      for (int x = 0; x < count; ++x) out[x] = wa * a[x];
      fresh = false;
    } else {
      for (int x = 0; x < count; ++x) out[x] += wa * a[x];
    }
  }
}

Image resize_rows(const Image& image, const Weights& w) {
  Image result(image.width, w.outputs, image.channels);
  std::vector<const float*> rows(w.taps);
  for (int c = 0; c < image.channels; ++c) {
    for (int y = 0; y < w.outputs; ++y) {
      for (int k = 0; k < w.taps; ++k) {
        rows[k] = image.plane(c) + static_cast<std::size_t>(w.index[static_cast<std::size_t>(y) * w.taps + k]) * image.width;
      }
      weigh_rows(rows.data(), &w.weight[static_cast<std::size_t>(y) * w.taps], w.taps, image.width,
                 result.plane(c) + static_cast<std::size_t>(y) * image.width);
    }
  }
  return result;
}

// Sixteen rows at a time are turned so that they lie side by side; then a weight serves sixteen pixels and the loop vectorises.
constexpr int kLanes = 16;

Image resize_columns(const Image& image, const Weights& w) {
  Image result(w.outputs, image.height, image.channels);
  std::vector<float> turned(static_cast<std::size_t>(image.width) * kLanes), sums(static_cast<std::size_t>(w.outputs) * kLanes);
  const int rows = image.height * image.channels;  // the planes follow each other
  for (int first = 0; first < rows; first += kLanes) {
    const int lanes = std::min(kLanes, rows - first);
    for (int lane = 0; lane < lanes; ++lane) {
      const float* row = image.data.data() + static_cast<std::size_t>(first + lane) * image.width;
      for (int x = 0; x < image.width; ++x) turned[static_cast<std::size_t>(x) * kLanes + lane] = row[x];
    }
    for (int x = 0; x < w.outputs; ++x) {
      float sum[kLanes] = {};
      for (int k = 0; k < w.taps; ++k) {
        const std::size_t at = static_cast<std::size_t>(x) * w.taps + k;
        const float* from = &turned[static_cast<std::size_t>(w.index[at]) * kLanes];
        for (int lane = 0; lane < kLanes; ++lane) sum[lane] += w.weight[at] * from[lane];
      }
      std::memcpy(&sums[static_cast<std::size_t>(x) * kLanes], sum, sizeof sum);
    }
    for (int lane = 0; lane < lanes; ++lane) {
      float* row = result.data.data() + static_cast<std::size_t>(first + lane) * w.outputs;
      for (int x = 0; x < w.outputs; ++x) row[x] = sums[static_cast<std::size_t>(x) * kLanes + lane];
    }
  }
  return result;
}

Image resize_to(const Image& image, int width, int height, double scale, Resize method) {
  if (width < 1 || height < 1 || image.width < 1 || image.height < 1) {
    throw usage_error(fmt::format("resize: {} x {} to {} x {}: expected at least 1 x 1. choose a larger size or scale", image.width,
                                  image.height, width, height));
  }
  if (width == image.width && height == image.height && (scale == 0 || scale == 1)) return image;  // every method's weights are 0 and 1
  const Weights columns = weights_for(method, image.width, width, scale);
  const Weights rows = weights_for(method, image.height, height, scale);
  const bool rows_first = static_cast<int64_t>(height) * image.width <= static_cast<int64_t>(image.height) * width;
  return rows_first ? resize_columns(resize_rows(image, rows), columns) : resize_rows(resize_columns(image, columns), rows);
}

}  // namespace

Image resize(const Image& image, int width, int height, Resize method) { return resize_to(image, width, height, 0, method); }

Image resize_by(const Image& image, double scale, Resize method) {
  if (!(scale > 0) || scale > 1000) throw usage_error(fmt::format("resize: scale: expected more than 0 and at most 1000, found {}", scale));
  const auto size = [&](int side) {
    // 0.07 * 300 is 21.000000000000004 in binary; MATLAB and torch both go by this product, so no tolerance here.
    return static_cast<int>(method == Resize::bicubic_matlab ? std::ceil(side * scale) : std::floor(side * scale));
  };
  return resize_to(image, size(image.width), size(image.height), scale, method);
}

Image down_up(const Image& image, double factor, Resize down, Resize up) {
  const int width = std::max(1, static_cast<int>(std::lround(image.width / factor)));
  const int height = std::max(1, static_cast<int>(std::lround(image.height / factor)));
  return resize(resize(image, width, height, down), image.width, image.height, up);
}

Image crop(const Image& image, int x, int y, int width, int height) {
  if (x < 0 || y < 0 || width < 1 || height < 1 || width > image.width - x || height > image.height - y) {
    throw internal_error(fmt::format("crop: {} x {} at ({}, {}): expected it inside the picture of {} x {}", width, height, x, y,
                                     image.width, image.height));
  }
  Image result(width, height, image.channels);
  for (int c = 0; c < image.channels; ++c) {
    for (int row = 0; row < height; ++row) {
      std::memcpy(&result.at(c, row, 0), image.plane(c) + static_cast<std::size_t>(y + row) * image.width + x, width * sizeof(float));
    }
  }
  return result;
}

Image flip_horizontal(const Image& image) {
  Image result(image.width, image.height, image.channels);
  const std::size_t rows = static_cast<std::size_t>(image.height) * image.channels;
  for (std::size_t row = 0; row < rows; ++row) {
    const float* from = image.data.data() + row * image.width;
    std::reverse_copy(from, from + image.width, result.data.data() + row * image.width);
  }
  return result;
}

void clamp_unit(Image& image) {
  for (float& value : image.data) value = std::clamp(value, 0.0f, 1.0f);
}

void round_to_bytes(Image& image) {
  for (float& value : image.data) value = std::nearbyint(std::clamp(value, 0.0f, 1.0f) * 255) / 255;  // half to even, as files are written
}

Image rounded_to_bytes(Image image) {
  round_to_bytes(image);
  return image;
}

}  // namespace finpercep
