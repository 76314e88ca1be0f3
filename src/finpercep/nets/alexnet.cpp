// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/alexnet.h"

namespace finpercep {

namespace {

std::string conv_name(std::size_t index) { return "features." + std::to_string(index); }

}  // namespace

AlexNet::AlexNet(Params& params) {
  constexpr std::array<int64_t, 5> kernels = {11, 5, 3, 3, 3};
  int64_t in = 3;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    convs.push_back(make_conv(params, conv_name(i), in, slice_channels[i], kernels[i], {.gain = 0}));
    in = slice_channels[i];
  }
  convs[0].stride = 4;
  convs[0].padding = 2;
}

std::array<at::Tensor, 5> AlexNet::operator()(const at::Tensor& x) const {
  std::array<at::Tensor, 5> slices;
  at::Tensor h = x;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (i == 1 || i == 2) h = at::max_pool2d(h, 3, 2);
    h = slices[i] = convs[i](h).relu_();
  }
  return slices;
}

Vgg16::Vgg16(Params& params) {
  int64_t in = 3;
  for (std::size_t slice = 0; slice < slice_channels.size(); ++slice) {
    for (int64_t k = 0; k < slice_convs[slice]; ++k) {
      convs.push_back(make_conv(params, conv_name(convs.size()), in, slice_channels[slice], 3, {.gain = 0}));
      in = slice_channels[slice];
    }
  }
}

std::array<at::Tensor, 5> Vgg16::operator()(const at::Tensor& x) const {
  std::array<at::Tensor, 5> slices;
  at::Tensor h = x;
  std::size_t next = 0;
  for (std::size_t slice = 0; slice < slices.size(); ++slice) {
    if (slice > 0) h = at::max_pool2d(h, 2, 2);
    for (int64_t k = 0; k < slice_convs[slice]; ++k) h = convs[next++](h).relu_();
    slices[slice] = h;
  }
  return slices;
}

}  // namespace finpercep
