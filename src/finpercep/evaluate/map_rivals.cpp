// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/map_rivals.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "finpercep/degrade/blur.h"
#include "finpercep/fgr/label.h"
#include "finpercep/image/gray.h"
#include "finpercep/image/resize.h"
#include "finpercep/metrics/niqe.h"

namespace finpercep {

namespace {

constexpr int window = 96, stride = 32;  // NIQE's block; from block to block

Image product(Image a, const Image& b) {
  for (std::size_t i = 0; i < a.data.size(); ++i) a.data[i] *= b.data[i];
  return a;
}

// SSIM of luma before the mean, with windows that reach over the border by reflection.
Image dissimilarity(const Image& picture, const Image& clean) {
  constexpr float c1 = 0.01f * 0.01f, c2 = 0.03f * 0.03f;
  const std::vector<float> row = gaussian_row(11, 1.5);
  const Image a = to_gray(picture), b = to_gray(clean);
  const Image ma = filter_separable(a, row), mb = filter_separable(b, row);
  const Image aa = filter_separable(product(a, a), row), bb = filter_separable(product(b, b), row),
              ab = filter_separable(product(a, b), row);
  Image out = ma;
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    const float x = ma.data[i], y = mb.data[i], vx = aa.data[i] - x * x, vy = bb.data[i] - y * y, cov = ab.data[i] - x * y;
    out.data[i] = std::clamp(1 - (2 * x * y + c1) / (x * x + y * y + c1) * (2 * cov + c2) / (vx + vy + c2), 0.0f, 1.0f);
  }
  return out;
}

// Mean length of the gray picture's gradient around a pixel.
Image local_gradient(const Image& picture) {
  const Image gray = to_gray(picture);
  Image out(gray.width, gray.height, 1);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const auto slope = [&](int x0, int y0, int x1, int y1) { return (gray.at(0, y1, x1) - gray.at(0, y0, x0)) / 2; };
      out.at(0, y, x) = std::hypot(slope(std::max(x - 1, 0), y, std::min(x + 1, out.width - 1), y),
                                   slope(x, std::max(y - 1, 0), x, std::min(y + 1, out.height - 1)));
    }
  return blur_by(out, 4);
}

// Mahalanobis' distance of each block's features from the pristine ones', d -> d / (d + median of what good photographs have, about 6),
// bilinear between the blocks' centres.
Image local_niqe(const Image& picture, const at::Tensor& mu, const at::Tensor& precision) {
  const int across = std::max(1, (picture.width - window) / stride + 1), down = std::max(1, (picture.height - window) / stride + 1);
  Image coarse(across, down, 1, 0.5f);
  if (std::min(picture.width, picture.height) >= window)
    for (int y = 0; y < down; ++y)
      for (int x = 0; x < across; ++x) {
        const at::Tensor gap = niqe_features(crop(picture, x * stride, y * stride, window, window))[0] - mu;
        const auto squared = gap.dot(precision.mv(gap)).item<double>();
        const double distance = std::sqrt(std::max(0.0, squared));
        if (std::isfinite(squared))
          coarse.at(0, y, x) = static_cast<float>(distance / (distance + 6));  // a block without texture says nothing
      }
  // The blocks' centres cover the middle: beyond, the nearest goes on.
  Image out(picture.width, picture.height, 1);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const double u = std::clamp((x + 0.5 - window / 2) / stride, 0.0, across - 1.0),
                   v = std::clamp((y + 0.5 - window / 2) / stride, 0.0, down - 1.0);
      const int x0 = static_cast<int>(u), y0 = static_cast<int>(v), x1 = std::min(x0 + 1, across - 1), y1 = std::min(y0 + 1, down - 1);
      const double fx = u - x0, fy = v - y0;
      out.at(0, y, x) = static_cast<float>((1 - fy) * ((1 - fx) * coarse.at(0, y0, x0) + fx * coarse.at(0, y0, x1)) +
                                           fy * ((1 - fx) * coarse.at(0, y1, x0) + fx * coarse.at(0, y1, x1)));
    }
  return out;
}

}  // namespace

std::vector<MapRival> map_rivals() {
  const Niqe niqe = Niqe::load();
  const at::Tensor precision = at::linalg_inv(niqe.cov);
  return {{"constant", [](const Image& picture, const Image&) { return Image(picture.width, picture.height, 1, 0.5f); }},
          {"detail", [](const Image& picture, const Image&) { return local_gradient(picture); }},
          {"NIQE, local", [mu = niqe.mu, precision](const Image& picture, const Image&) { return local_niqe(picture, mu, precision); }},
          {"|x - GT|", pixel_difference},
          {"1 - SSIM", dissimilarity}};
}

}  // namespace finpercep
