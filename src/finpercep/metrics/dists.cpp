// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/dists.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <array>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/nets/alexnet.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int64_t channels_in_all = 1475;

// sqrt of the mean of squares under the inner 3 x 3 of a 5 x 5 Hanning window, every other pixel.
at::Tensor l2_pool(const at::Tensor& x) {
  const int64_t channels = x.size(1);
  const at::Tensor side = at::tensor({.25f, .5f, .25f}, x.options());
  const at::Tensor kernel = (side.unsqueeze(1) * side).expand({channels, 1, 3, 3});
  return (at::conv2d(x.square(), kernel, {}, 2, 1, 1, channels) + 1e-12).sqrt();
}

// alpha and beta weighted similarity of the channels of one slice: N.
at::Tensor similarity(const at::Tensor& x, const at::Tensor& y, const at::Tensor& alpha, const at::Tensor& beta) {
  const at::Tensor mx = x.mean({2, 3}), my = y.mean({2, 3});
  const at::Tensor cx = x - mx.unsqueeze(2).unsqueeze(3), cy = y - my.unsqueeze(2).unsqueeze(3);
  const at::Tensor vx = cx.square().mean({2, 3}), vy = cy.square().mean({2, 3}), cov = (cx * cy).mean({2, 3});
  constexpr double c = 1e-6;
  const at::Tensor structure = (2 * mx * my + c) / (mx.square() + my.square() + c), texture = (2 * cov + c) / (vx + vy + c);
  return (structure * alpha + texture * beta).sum(1);
}

// Of a slice, by channel.
struct Moments {
  std::vector<double> x, y, xx, yy, xy;
  double count = 0;
  explicit Moments(int64_t channels = 0) : x(channels), y(channels), xx(channels), yy(channels), xy(channels) {}
  void add(const float* a, const float* b, int64_t pixels) {
    const std::size_t channels = x.size();
    for (int64_t i = 0; i < pixels; ++i, a += channels, b += channels)
      for (std::size_t c = 0; c < channels; ++c) {
        const double u = a[c], v = b[c];
        x[c] += u;
        y[c] += v;
        xx[c] += u * u;
        yy[c] += v * v;
        xy[c] += u * v;
      }
    count += static_cast<double>(pixels);
  }
  void add(const Moments& other) {
    for (auto sums : {&Moments::x, &Moments::y, &Moments::xx, &Moments::yy, &Moments::xy})
      for (std::size_t c = 0; c < x.size(); ++c) (this->*sums)[c] += (other.*sums)[c];
    count += other.count;
  }
  double similarity(const float* alpha, const float* beta) const {
    constexpr double e = 1e-6;
    double total = 0;
    for (std::size_t c = 0; c < x.size(); ++c) {
      const double mx = x[c] / count, my = y[c] / count, vx = xx[c] / count - mx * mx, vy = yy[c] / count - my * my,
                   cov = xy[c] / count - mx * my;
      total += alpha[c] * (2 * mx * my + e) / (mx * mx + my * my + e) + beta[c] * (2 * cov + e) / (vx + vy + e);
    }
    return total;
  }
};

}  // namespace

Dists Dists::load(at::Device device) {
  Dists dists;
  Params trunk(std::nullopt), weights(std::nullopt);
  const Vgg16 net(trunk);
  dists.convs = net.convs;
  dists.alpha = weights.constant("alpha", {channels_in_all}, 0);
  dists.beta = weights.constant("beta", {channels_in_all}, 0);
  const auto trunk_file = weight_file("lpips_vgg"), file = weight_file("dists");
  finpercep::load(trunk, read_safetensors(trunk_file, Checksum::required), trunk_file.string(), "", false);  // beside it lie LPIPS's heads
  finpercep::load(weights, read_safetensors(file, Checksum::required), file.string());
  trunk.to(device, at::kFloat);
  weights.to(device, at::kFloat);
  if (device.is_cpu()) dists.stream = std::make_shared<const VggStream>(net);
  const at::Tensor sum = dists.alpha.sum() + dists.beta.sum();
  dists.alpha.div_(sum);
  dists.beta.div_(sum);
  const auto [mean, deviation] = imagenet_statistics(device);
  dists.mean = mean;
  dists.deviation = deviation;
  return dists;
}

at::Tensor Dists::streamed(const at::Tensor& x, const at::Tensor& y) const {
  constexpr int64_t parts = 16;
  at::Tensor out = at::empty({x.size(0)}, x.options());
  const float *a = alpha.const_data_ptr<float>(), *b = beta.const_data_ptr<float>();
  for (int64_t n = 0; n < x.size(0); ++n) {
    std::vector<Moments> slices = {Moments(3)};
    const at::Tensor u = x[n].permute({1, 2, 0}).contiguous(), v = y[n].permute({1, 2, 0}).contiguous();
    slices[0].add(u.const_data_ptr<float>(), v.const_data_ptr<float>(), u.size(0) * u.size(1));
    for (int64_t channels : Vgg16::slice_channels) slices.emplace_back(channels);
    (*stream)((x[n] - mean[0]) / deviation[0], (y[n] - mean[0]) / deviation[0], SlicePool::l2,
              [&](std::size_t slice, const float* p, const float* q, int64_t pixels, int64_t channels) {
                std::vector<Moments> of_part(parts, Moments(channels));  // added up in order: no effect of the threads
                at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
                  for (int64_t part = begin; part < end; ++part) {
                    const int64_t first = pixels * part / parts, past = pixels * (part + 1) / parts;
                    of_part[part].add(p + first * channels, q + first * channels, past - first);
                  }
                });
                for (const Moments& moments : of_part) slices[slice + 1].add(moments);
              });
    double total = 0;
    int64_t offset = 0;
    for (const Moments& moments : slices) {
      total += moments.similarity(a + offset, b + offset);
      offset += static_cast<int64_t>(moments.x.size());
    }
    out[n] = 1 - total;
  }
  return out;
}

at::Tensor Dists::operator()(const at::Tensor& x, const at::Tensor& y) const {
  if (x.dim() != 4 || x.size(1) != 3 || x.sizes() != y.sizes())
    throw input_error("dists: expected two batches of equal size with 3 channels");
  if (x.size(2) < Vgg16::min_side || x.size(3) < Vgg16::min_side)
    throw input_error(fmt::format("dists: expected sides of at least {} pixels, found {}x{}", Vgg16::min_side, x.size(3), x.size(2)));
  const bool gradients = at::GradMode::is_enabled() && (x.requires_grad() || y.requires_grad());
  if (stream && !gradients && x.scalar_type() == at::kFloat && y.scalar_type() == at::kFloat) return streamed(x, y);
  std::size_t next = 0;
  const auto slice = [&](at::Tensor h, std::size_t index, std::size_t first) {
    h = index == 0 ? (h - mean) / deviation : l2_pool(h);
    for (int64_t k = 0; k < Vgg16::slice_convs[index]; ++k) h = convs[first + k](h).relu_();
    return h;
  };
  // Slice by slice, both pictures: without gradients the features of the last slice are gone when the next are made.
  at::Tensor fx = x, fy = y, total = at::zeros({x.size(0)}, x.options());
  int64_t offset = 0;
  for (std::size_t index = 0;; ++index) {
    const int64_t count = fx.size(1);
    total = total + similarity(fx, fy, alpha.narrow(0, offset, count), beta.narrow(0, offset, count));
    offset += count;
    if (index == Vgg16::slice_convs.size()) return 1 - total;
    fx = slice(std::move(fx), index, next);
    fy = slice(std::move(fy), index, next);
    next += Vgg16::slice_convs[index];
  }
}

}  // namespace finpercep
