// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/brisque.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/safetensors.h"
#include "finpercep/image/resize.h"
#include "finpercep/metrics/nss.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int least_side = 16, rows_per_task = 32;
constexpr std::array<std::array<int, 2>, 4> shifts = {{{0, 1}, {1, 0}, {1, 1}, {-1, 1}}};

// Least and greatest value of each statistic in training (the release's range file), mapped to -1 and 1.
constexpr std::array<std::array<double, 2>, Brisque::features> ranges = {{
    {0.338, 10},          {0.017204, 0.806612},  {0.236, 1.642},       {-0.123884, 0.20293},  {0.000155, 0.712298}, {0.001122, 0.470257},
    {0.244, 1.641},       {-0.123586, 0.179083}, {0.000152, 0.710456}, {0.000975, 0.470984},  {0.249, 1.555},       {-0.135687, 0.100858},
    {0.000174, 0.684173}, {0.000913, 0.534174},  {0.258, 1.561},       {-0.143408, 0.100486}, {0.000179, 0.685696}, {0.000888, 0.536508},
    {0.471, 3.264},       {0.012809, 0.703171},  {0.218, 1.046},       {-0.094876, 0.187459}, {1.5e-005, 0.442057}, {0.001272, 0.40803},
    {0.222, 1.042},       {-0.115772, 0.162604}, {1.6e-005, 0.444362}, {0.001374, 0.40243},   {0.227, 0.996},       {-0.117188, 0.098323},
    {3e-005, 0.531903},   {0.001122, 0.369589},  {0.228, 0.99},        {-0.12243, 0.098658},  {2.8e-005, 0.530092}, {0.001118, 0.370399},
}};

void scale_features(const Image& luma, int threads, double* to) {
  const std::vector<float> normal = contrast_normalised(luma.data, luma.width, luma.height, threads);
  const Block<float> block{normal.data(), static_cast<std::size_t>(luma.width), luma.width, luma.height};
  // Moments of each row on its own, added up in order: no effect of the threads.
  std::vector<std::array<SignedMoments, 1 + shifts.size()>> of_rows(luma.height);
  parallel_rows(luma.height, rows_per_task, threads, [&](int first, int end) {
    for (int y = first; y < end; ++y) {
      of_rows[y][0] = moments_of_row(block, y);
      for (std::size_t s = 0; s < shifts.size(); ++s) of_rows[y][1 + s] = moments_of_products(block, y, shifts[s][0], shifts[s][1]);
    }
  });
  std::array<SignedMoments, 1 + shifts.size()> all{};
  for (const auto& row : of_rows)
    for (std::size_t k = 0; k < all.size(); ++k) all[k].add(row[k]);

  *to++ = gaussian_shape(all[0]);
  *to++ = (all[0].left + all[0].right) / all[0].count;
  for (std::size_t s = 1; s < all.size(); ++s) {
    const AsymmetricFit fit = asymmetric_fit(all[s]);
    *to++ = fit.shape;
    *to++ = fit.mean;
    *to++ = fit.left * fit.left;
    *to++ = fit.right * fit.right;
  }
}

std::vector<double> numbers(const TensorFile& file, const std::string& name, std::size_t count, const std::string& where) {
  const auto found = file.tensors.find(name);
  const std::size_t have =
      found == file.tensors.end() || found->second.dtype != DType::f64 ? 0 : found->second.bytes.size() / sizeof(double);
  if (have == 0 || (count > 0 && have != count))
    throw model_error(
        fmt::format("brisque: {}: {}: expected {} numbers, found {}. run `python3 tools/fetch_weights.py`", where, name, count, have));
  std::vector<double> out(have);
  std::memcpy(out.data(), found->second.bytes.data(), found->second.bytes.size());
  return out;
}

}  // namespace

Brisque Brisque::load() {
  const std::string path = weight_file("brisque").string();
  const TensorFile file = read_safetensors(path, Checksum::required);
  Brisque out;
  out.coefficients = numbers(file, "coefficients", 0, path);
  out.vectors = numbers(file, "vectors", out.coefficients.size() * features, path);
  const std::vector<double> constants = numbers(file, "constants", 2, path);
  out.gamma = constants[0];
  out.rho = constants[1];
  return out;
}

std::array<double, Brisque::features> brisque_features(const Image& image, int threads) {
  const ComparedRows rows(image, Channels::yiq, 0, true);
  if (rows.width() < least_side || rows.height() < least_side)
    throw input_error(fmt::format("brisque: expected sides of at least {} pixels, found {}x{}", least_side, rows.width(), rows.height()));
  Image luma(rows.width(), rows.height(), 1);
  std::vector<double> row(rows.width());
  for (int y = 0; y < rows.height(); ++y) {
    rows.read(0, y, row.data());
    std::transform(row.begin(), row.end(), luma.data.begin() + static_cast<std::ptrdiff_t>(y) * luma.width,
                   [](double v) { return static_cast<float>(v); });
  }
  std::array<double, Brisque::features> out{};
  scale_features(luma, threads, out.data());
  scale_features(resize_by(luma, .5, Resize::bicubic_matlab), threads, out.data() + Brisque::features / 2);
  return out;
}

double Brisque::operator()(const Image& image, int threads) const {
  std::array<double, features> x = brisque_features(image, threads);
  for (int i = 0; i < features; ++i) {
    if (!std::isfinite(x[i]))
      throw input_error(fmt::format("brisque: a picture of {}x{} without texture has no score", image.width, image.height));
    x[i] = -1 + 2 * (x[i] - ranges[i][0]) / (ranges[i][1] - ranges[i][0]);
  }
  double score = -rho;
  for (std::size_t v = 0; v < coefficients.size(); ++v) {
    double square = 0;
    for (int i = 0; i < features; ++i) square += (x[i] - vectors[v * features + i]) * (x[i] - vectors[v * features + i]);
    score += coefficients[v] * std::exp(-gamma * square);
  }
  return score;
}

}  // namespace finpercep
