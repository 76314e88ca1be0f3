// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/fid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

// Rows with the same inner products between their columns, at most as many as there are columns.
at::Tensor reduced(const at::Tensor& rows) { return rows.size(0) > rows.size(1) ? std::get<1>(at::linalg_qr(rows, "r")) : rows; }

}  // namespace

Fid Fid::load(at::Device device) {
  const auto path = weight_file("fid");
  return from(read_safetensors(path, Checksum::if_present), path.string(), device);
}

Fid Fid::from(const TensorFile& file, const std::string& where, at::Device device) {
  Params params(std::nullopt);
  Fid fid{Inception(params), device};
  load_inception(fid.net, file, where);
  params.to(device, at::kFloat);
  return fid;
}

at::Tensor Fid::prepare(const Image& picture) {
  if (picture.channels != 3) throw input_error("fid: expected 3 channels");
  Image small = resize(picture, Inception::side, Inception::side, Resize::bicubic_aa);
  clamp_unit(small);
  return (to_tensor(small) * 255 - 128) / 128;
}

at::Tensor Fid::features(const at::Tensor& x) const {
  at::NoGradGuard no_grad;
  return net(x.to(device)).to(at::kCPU, at::kDouble);
}

double frechet_distance(const at::Tensor& a, const at::Tensor& b) {
  for (const at::Tensor& set : {a, b})
    if (set.size(0) < 2)
      throw input_error(fmt::format("fid: expected at least 2 pictures in each set, found {}. one picture has no covariance", set.size(0)));
  const at::Tensor mean_a = a.mean(0), mean_b = b.mean(0);
  const at::Tensor p = (a - mean_a) / std::sqrt(static_cast<double>(a.size(0) - 1)),
                   q = (b - mean_b) / std::sqrt(static_cast<double>(b.size(0) - 1));
  const at::Tensor root = at::linalg_svdvals(at::matmul(reduced(p), reduced(q).t())).sum();
  const double distance = ((mean_a - mean_b).square().sum() + p.square().sum() + q.square().sum() - 2 * root).item<double>();
  return std::max(0.0, distance);  // rounding may leave equal sets a little below
}

}  // namespace finpercep
