// SPDX-License-Identifier: Apache-2.0
#include "finpercep/degrade/diff_jpeg.h"

#include <cmath>
#include <numbers>

#include "finpercep/base/error.h"

namespace finpercep {
namespace {

// ITU-T T.81, tables K.1 and K.2, row by row.
constexpr float kLuma[64] = {16, 11,  10,  16, 24, 40, 51, 61, 12,  12,  14,  19,  26, 58, 60, 55,  14,  13,  16,  24, 40, 57,
                             69, 56,  14,  17, 22, 29, 51, 87, 80,  62,  18,  22,  37, 56, 68, 109, 103, 77,  24,  35, 55, 64,
                             81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,  112, 100, 103, 99};
constexpr float kChroma[64] = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
                               99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                               99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/// 64 x 64, orthonormal: coefficients = basis * block.
at::Tensor dct_basis() {
  at::Tensor basis = at::empty({64, 64}, at::kFloat);
  auto at_ = basis.accessor<float, 2>();
  const auto cosine = [](int frequency, int place) {
    return (frequency == 0 ? std::sqrt(0.125) : 0.5) * std::cos((2 * place + 1) * frequency * std::numbers::pi / 16);
  };
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < 64; ++j) at_[i][j] = static_cast<float>(cosine(i / 8, j / 8) * cosine(i % 8, j % 8));
  return basis;
}

/// N x H x W in 0..255 around 128, H and W multiples of 8.
at::Tensor code_plane(const at::Tensor& plane, const float* table, const at::Tensor& factor) {
  const int64_t n = plane.size(0), rows = plane.size(1) / 8, columns = plane.size(2) / 8;
  static const at::Tensor on_host = dct_basis();
  const at::Tensor basis = on_host.to(plane.device());
  const at::Tensor base = at::from_blob(const_cast<float*>(table), {64}, at::kFloat).to(plane.device());
  // Steps are whole numbers from 1 to 255, as in a file.
  const at::Tensor steps = at::clamp(at::floor((base * factor.view({n, 1, 1}) + 50) / 100), 1, 255);
  const at::Tensor blocks = (plane - 128).view({n, rows, 8, columns, 8}).permute({0, 1, 3, 2, 4}).reshape({n, rows * columns, 64});
  const at::Tensor coded = at::round(at::matmul(blocks, basis.t()) / steps) * steps;
  return at::matmul(coded, basis).view({n, rows, columns, 8, 8}).permute({0, 1, 3, 2, 4}).reshape_as(plane) + 128;
}

}  // namespace

at::Tensor diff_jpeg(const at::Tensor& images, const at::Tensor& quality) {
  if (images.dim() != 4 || images.size(1) != 3 || quality.numel() != images.size(0))
    throw usage_error("diff_jpeg: expected pictures of N x 3 x H x W and N qualities, found other shapes");
  const int64_t height = images.size(2), width = images.size(3);
  const at::Tensor q = quality.to(images.device(), at::kFloat).clamp(1, 100);
  const at::Tensor factor = at::where(q < 50, at::floor(5000 / q), 200 - 2 * q);
  const at::Tensor x = at::replication_pad2d(images * 255, {0, (16 - width % 16) % 16, 0, (16 - height % 16) % 16});
  const at::Tensor r = x.select(1, 0), g = x.select(1, 1), b = x.select(1, 2);
  const at::Tensor luma = code_plane((0.299 * r + 0.587 * g + 0.114 * b).contiguous(), kLuma, factor);
  const auto chroma = [&](const at::Tensor& plane) {
    const at::Tensor half = at::avg_pool2d(plane.unsqueeze(1), 2).squeeze(1);
    return code_plane(half + 128, kChroma, factor).repeat_interleave(2, 1).repeat_interleave(2, 2) - 128;
  };
  const at::Tensor cb = chroma(-0.168736 * r - 0.331264 * g + 0.5 * b), cr = chroma(0.5 * r - 0.418688 * g - 0.081312 * b);
  const at::Tensor rgb = at::stack({luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb}, 1);
  return at::clamp(rgb.narrow(2, 0, height).narrow(3, 0, width) / 255, 0, 1);
}

}  // namespace finpercep
