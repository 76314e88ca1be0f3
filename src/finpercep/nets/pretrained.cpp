// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/pretrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

std::filesystem::path supplied_weight_file(const std::string& name, const std::string& published) {
  const std::filesystem::path file = weight_cache() / (name + ".safetensors");
  if (!std::filesystem::exists(file))
    throw model_error(fmt::format(
        "weights: {}: expected the converted weights, found no file. supply {} and run `python3 tools/convert_weights.py {} FILE`",
        file.string(), published, name));
  return file;
}

std::filesystem::path ncnn_weight_file(const std::string& name) {
  const std::filesystem::path file = weight_cache() / (name + ".param");
  if (!std::filesystem::exists(file))
    throw model_error(
        fmt::format("weights: {}: expected the pretrained weights '{}', found no file. run `python3 tools/fetch_weights.py --only {}`",
                    file.string(), name, name));
  return file;
}

at::Tensor tensor_of(const TensorFile& file, const std::string& where, const std::string& name, at::IntArrayRef shape) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end())
    throw model_error(fmt::format("weights: {}: expected tensor '{}', not in the file. convert or fetch it again", where, name));
  const at::Tensor tensor = from_data(found->second).to(at::kFloat);
  if (tensor.sizes() != shape)
    throw model_error(fmt::format("weights: {}: tensor '{}': expected shape {}, found {}. is it of another model?", where, name,
                                  shape.vec(), tensor.sizes().vec()));
  return tensor;
}

void load_folded(const Conv& conv, const TensorFile& file, const std::string& where, const std::string& conv_name,
                 const std::string& bn_name, double eps) {
  const auto of_bn = [&](const char* part) { return tensor_of(file, where, bn_name + part, {conv.weight.size(0)}); };
  const at::Tensor weight = tensor_of(file, where, conv_name + ".weight", conv.weight.sizes());
  const at::Tensor scale = of_bn(".weight") / at::sqrt(of_bn(".running_var") + eps);
  at::NoGradGuard no_grad;
  conv.weight.copy_(weight * scale.view({-1, 1, 1, 1}));
  conv.bias.copy_(of_bn(".bias") - of_bn(".running_mean") * scale);
}

}  // namespace finpercep
