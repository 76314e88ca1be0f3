// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/tensor.h"

#include <cstring>

namespace finpercep {

at::Tensor to_tensor(const Image& image) {
  at::Tensor tensor = at::empty({1, image.channels, image.height, image.width}, at::kFloat);
  std::memcpy(tensor.data_ptr<float>(), image.data.data(), image.data.size() * sizeof(float));
  return tensor;
}

Image to_image(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.dim() == 3 || (tensor.dim() == 4 && tensor.size(0) == 1), "to_image: expected C x H x W, found ", tensor.sizes());
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  const int64_t dims = values.dim();
  Image image(static_cast<int>(values.size(dims - 1)), static_cast<int>(values.size(dims - 2)), static_cast<int>(values.size(dims - 3)));
  std::memcpy(image.data.data(), values.data_ptr<float>(), image.data.size() * sizeof(float));
  return image;
}

at::Tensor to_batch(const std::vector<Image>& images) {
  std::vector<at::Tensor> tensors;
  for (const Image& image : images) tensors.push_back(to_tensor(image));
  return at::cat(tensors, 0);
}

bool far_outside(const at::Tensor& pictures) {
  return (pictures < -0.25).logical_or(pictures > 1.25).to(at::kFloat).mean().item<double>() > 0.05;
}

}  // namespace finpercep
