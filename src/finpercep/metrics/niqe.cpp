// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/niqe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/resize.h"
#include "finpercep/metrics/nss.h"
#include "finpercep/nets/params.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int block_side = 96;
constexpr int features_per_scale = 18;
constexpr std::array<std::array<int, 2>, 4> shifts = {{{0, 1}, {1, 0}, {1, 1}, {1, -1}}};

void block_features(const Block<double>& block, double* to) {
  SignedMoments alone;
  std::array<SignedMoments, shifts.size()> products;
  for (int y = 0; y < block.height; ++y) {
    alone.add(moments_of_row(block, y));
    for (std::size_t s = 0; s < shifts.size(); ++s) products[s].add(moments_of_products(block, y, shifts[s][0], shifts[s][1]));
  }
  const AsymmetricFit fit = asymmetric_fit(alone);
  *to++ = fit.shape;
  *to++ = (fit.left_scale + fit.right_scale) / 2;
  for (const SignedMoments& moments : products) {
    const AsymmetricFit of_product = asymmetric_fit(moments);
    *to++ = of_product.shape;
    *to++ = of_product.mean;
    *to++ = of_product.left_scale;
    *to++ = of_product.right_scale;
  }
}

// The plane at half its size, with MATLAB's imresize on values in [0,1].
std::vector<double> halved(const std::vector<double>& plane, int width, int height) {
  Image small(width, height, 1);
  std::transform(plane.begin(), plane.end(), small.data.begin(), [](double v) { return static_cast<float>(v) / 255; });
  small = resize_by(small, .5, Resize::bicubic_matlab);
  std::vector<double> out(small.data.size());
  std::transform(small.data.begin(), small.data.end(), out.begin(), [](float v) { return static_cast<double>(v * 255); });
  return out;
}

// gap' matrix^-1 gap by Cholesky's factors. pyiqa takes the pseudo-inverse, which is the inverse here: the pristine covariance alone has no
// eigenvalue below 7e-6. A library's would start threads for 36 numbers.
double squared_distance(const at::Tensor& matrix, const at::Tensor& gap) {
  const int64_t n = gap.size(0);
  std::vector<double> l(matrix.const_data_ptr<double>(), matrix.const_data_ptr<double>() + n * n),
      z(gap.const_data_ptr<double>(), gap.const_data_ptr<double>() + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double v = l[i * n + j];
      for (int64_t k = 0; k < j; ++k) v -= l[i * n + k] * l[j * n + k];
      if (i == j && !(v > 0))
        throw input_error("niqe: expected features with a positive definite covariance, found others. the weight file is of another kind");
      l[i * n + j] = i == j ? std::sqrt(v) : v / l[j * n + j];
    }
    for (int64_t k = 0; k < i; ++k) z[i] -= l[i * n + k] * z[k];
    z[i] /= l[i * n + i];
    sum += z[i] * z[i];
  }
  return sum;
}

}  // namespace

Niqe Niqe::load() {
  const auto path = weight_file("niqe");
  const TensorFile file = read_safetensors(path, Checksum::required);
  const auto mu = file.tensors.find("mu"), cov = file.tensors.find("cov");
  constexpr int64_t n = 2 * features_per_scale;
  if (mu == file.tensors.end() || cov == file.tensors.end() || mu->second.shape != std::vector<int64_t>{n} ||
      cov->second.shape != std::vector<int64_t>{n, n})
    throw model_error(fmt::format("niqe: {}: expected mu of {} and cov of {} x {}, found others. run `python3 tools/fetch_weights.py`",
                                  path.string(), n, n, n));
  return {from_data(mu->second).to(at::kDouble), from_data(cov->second).to(at::kDouble)};
}

at::Tensor niqe_features(const Image& image, const NiqeOptions& options) {
  const ComparedRows rows(image, options.channels, options.crop_border, true);
  const int across = rows.width() / block_side, down = rows.height() / block_side;
  if (across == 0 || down == 0)
    throw input_error(fmt::format("niqe: expected sides of at least {} pixels, found {}x{}", block_side, rows.width(), rows.height()));
  int width = across * block_side, height = down * block_side;
  std::vector<double> plane(static_cast<std::size_t>(width) * height), row(rows.width());
  for (int y = 0; y < height; ++y) {
    rows.read(0, y, row.data());
    std::copy_n(row.begin(), width, plane.begin() + static_cast<std::ptrdiff_t>(y) * width);
  }
  const LocalWindow window = options.float32_window ? LocalWindow::of_float32() : LocalWindow::exact();
  at::Tensor features = at::empty({int64_t{across} * down, 2 * features_per_scale}, at::kDouble);
  double* to = features.data_ptr<double>();
  for (int scale = 0, side = block_side; scale < 2; ++scale, side /= 2) {
    if (scale > 0) {
      plane = halved(plane, width, height);
      width /= 2;
      height /= 2;
    }
    const std::vector<double> normal = contrast_normalised(plane, width, height, window, options.threads);
    parallel_for(int64_t{across} * down, options.threads, [&](int64_t i) {
      const std::size_t start = static_cast<std::size_t>(i / across * side) * width + static_cast<std::size_t>(i % across * side);
      block_features({normal.data() + start, static_cast<std::size_t>(width), side, side}, to + (2 * i + scale) * features_per_scale);
    });
  }
  return features;
}

double Niqe::operator()(const Image& image, const NiqeOptions& options) const {
  at::NoGradGuard no_grad;
  const at::Tensor features = niqe_features(image, options);
  const at::Tensor whole = features.index({at::isfinite(features).all(1)});
  if (whole.size(0) < 2)
    throw input_error(fmt::format("niqe: expected at least two blocks of {} x {} pixels with texture in a picture of {}x{}, found {}",
                                  block_side, block_side, image.width, image.height, whole.size(0)));
  const at::Tensor mean = at::nanmean(features, 0), centred = whole - whole.mean(0);
  const at::Tensor covariance = centred.t().mm(centred) / (whole.size(0) - 1);
  return std::sqrt(squared_distance(((cov + covariance) / 2).contiguous(), (mu - mean).contiguous()));
}

}  // namespace finpercep
