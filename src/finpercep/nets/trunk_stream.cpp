// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/trunk_stream.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

namespace finpercep {

namespace {

constexpr int64_t band_bytes = 32 << 20;

at::Tensor pixels_outermost(const at::Tensor& x) { return x.permute({1, 2, 0}).contiguous(); }

// A convolution of torch's on H x W x C, with its ReLU.
at::Tensor convolve(const at::Tensor& x, const Conv& conv) {
  const at::Tensor in = x.permute({2, 0, 1}).unsqueeze(0), weight = conv.weight.contiguous(at::MemoryFormat::ChannelsLast);
  return at::conv2d(in, weight, conv.bias, conv.stride, conv.padding).relu_().squeeze(0).permute({1, 2, 0}).contiguous();
}

// Row `y` of the pooled picture, from rows of width x channels; an absent row counts as zeros.
void pool_row(SlicePool pool, const std::array<const float*, 3>& rows, int64_t width, int64_t channels, float* to) {
  if (pool == SlicePool::max) {
    for (int64_t x = 0; x < width / 2; ++x) {
      const float *p = rows[1] + 2 * x * channels, *q = rows[2] + 2 * x * channels;
      for (int64_t c = 0; c < channels; ++c)
        to[x * channels + c] = std::max(std::max(p[c], p[c + channels]), std::max(q[c], q[c + channels]));
    }
    return;
  }
  constexpr float weights[3] = {.25f, .5f, .25f};
  std::vector<float> sum(channels);
  for (int64_t x = 0; x < (width + 1) / 2; ++x) {
    std::fill(sum.begin(), sum.end(), 1e-12f);
    for (int i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 3; ++j) {
        const int64_t from = 2 * x + j - 1;
        if (rows[i] == nullptr || from < 0 || from >= width) continue;
        const float *p = rows[i] + from * channels, w = weights[i] * weights[j];
        for (int64_t c = 0; c < channels; ++c) sum[c] += w * (p[c] * p[c]);
      }
    for (int64_t c = 0; c < channels; ++c) to[x * channels + c] = std::sqrt(sum[c]);
  }
}

}  // namespace

VggStream::VggStream(const Vgg16& net) : first_(net.convs[0]) {
  for (std::size_t i = 1; i < net.convs.size(); ++i) convs_.emplace_back(net.convs[i]);
}

at::Tensor VggStream::features(const at::Tensor& x, std::size_t slice, int64_t begin, int64_t end) const {
  const int64_t height = x.size(0), convs = Vgg16::slice_convs[slice];
  std::size_t next = 0;
  for (std::size_t s = 0; s < slice; ++s) next += Vgg16::slice_convs[s];
  // Each convolution loses a row at either end, except at the border of the picture, where it sees zeros.
  int64_t low = std::max<int64_t>(0, begin - convs), high = std::min(height, end + convs);
  at::Tensor h = x.narrow(0, low, high - low);
  for (int64_t k = 0; k < convs; ++k) {
    const int64_t next_low = std::max<int64_t>(0, begin - (convs - 1 - k)), next_high = std::min(height, end + (convs - 1 - k));
    if (next + k == 0) h = convolve(h, first_).narrow(0, next_low - low, next_high - next_low);
    else h = convs_[next + k - 1](h, next_low == low, next_high == high);
    low = next_low;
    high = next_high;
  }
  return h;
}

void VggStream::operator()(const at::Tensor& a, const at::Tensor& b, SlicePool pool, const TakeFeatures& take) const {
  const at::NoGradGuard no_grad;
  std::array<at::Tensor, 2> in = {pixels_outermost(a), pixels_outermost(b)};
  for (std::size_t slice = 0; slice < Vgg16::slice_channels.size(); ++slice) {
    const int64_t height = in[0].size(0), width = in[0].size(1), channels = Vgg16::slice_channels[slice];
    const bool last = slice + 1 == Vgg16::slice_channels.size(), round_up = pool == SlicePool::l2;
    std::array<at::Tensor, 2> pooled;
    if (!last)
      for (auto& p : pooled) p = at::empty({(height + round_up) / 2, (width + round_up) / 2, channels}, in[0].options());
    const int64_t band = std::max<int64_t>(2, band_bytes / (width * channels * 4) / 2 * 2);
    for (int64_t begin = 0; begin < height; begin += band) {
      const int64_t end = std::min(height, begin + band), start = std::max<int64_t>(0, begin - round_up);  // the L2 pool looks one row up
      const std::array<at::Tensor, 2> rows = {features(in[0], slice, start, end), features(in[1], slice, start, end)};
      const int64_t stride = width * channels, skipped = (begin - start) * stride;
      take(slice, rows[0].const_data_ptr<float>() + skipped, rows[1].const_data_ptr<float>() + skipped, (end - begin) * width, channels);
      if (last) continue;
      const int64_t first = begin / 2, past = end == height ? pooled[0].size(0) : end / 2;
      for (std::size_t which = 0; which < 2; ++which) {
        const float* from = rows[which].const_data_ptr<float>();
        float* to = pooled[which].data_ptr<float>();
        at::parallel_for(first, past, 1, [&](int64_t y, int64_t stop) {
          for (; y < stop; ++y) {
            const auto row = [&](int64_t at) { return at < start || at >= end ? nullptr : from + (at - start) * stride; };
            pool_row(pool, {row(2 * y - 1), row(2 * y), row(2 * y + 1)}, width, channels, to + y * pooled[which].stride(0));
          }
        });
      }
    }
    in = pooled;
  }
}

AlexStream::AlexStream(const AlexNet& net) : large_{net.convs[0], net.convs[1]} {
  for (std::size_t i = 2; i < net.convs.size(); ++i) convs_.emplace_back(net.convs[i]);
}

void AlexStream::operator()(const at::Tensor& a, const at::Tensor& b, const TakeFeatures& take) const {
  const at::NoGradGuard no_grad;
  std::array<at::Tensor, 2> h = {pixels_outermost(a), pixels_outermost(b)};
  for (std::size_t slice = 0; slice < AlexNet::slice_channels.size(); ++slice) {
    for (auto& x : h) {
      if (slice == 1 || slice == 2) x = at::max_pool2d(x.permute({2, 0, 1}).unsqueeze(0), 3, 2).squeeze(0).permute({1, 2, 0}).contiguous();
      x = slice < large_.size() ? convolve(x, large_[slice]) : convs_[slice - large_.size()](x, true, true);
    }
    take(slice, h[0].const_data_ptr<float>(), h[1].const_data_ptr<float>(), h[0].size(0) * h[0].size(1), h[0].size(2));
  }
}

}  // namespace finpercep
