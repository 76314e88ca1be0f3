// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/pretrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

const char* set_variable(const char* name) {  // XDG: an empty one is none
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::filesystem::path in_cache(const std::string& file_name, const std::string& expected, const std::string& remedy) {
  const std::filesystem::path file = weight_cache() / file_name;
  if (!std::filesystem::exists(file))
    throw model_error(fmt::format("weights: {}: expected {}, found no file. {}", file.string(), expected, remedy));
  return file;
}

ChannelStatistics statistics(const std::array<float, 3>& mean, const std::array<float, 3>& deviation, at::Device device) {
  const auto by_channel = [device](const std::array<float, 3>& values) { return at::tensor(values).view({1, 3, 1, 1}).to(device); };
  return {by_channel(mean), by_channel(deviation)};
}

}  // namespace

std::filesystem::path weight_cache() {
  if (const char* given = set_variable("FINPERCEP_CACHE")) return given;
  if (const char* xdg = set_variable("XDG_CACHE_HOME")) return std::filesystem::path(xdg) / "finpercep";
  if (const char* home = set_variable("HOME")) return std::filesystem::path(home) / ".cache" / "finpercep";
  return {};
}

const std::vector<PretrainedWeights>& pretrained_weights() {
  static const std::vector<PretrainedWeights> all = {
      {"brisque", ""},
      {"clipiqa", "RN50.pt of OpenAI CLIP"},
      {"dinov2_vits14", ""},
      {"dinov3_vits16",
       "dinov3_vits16_pretrain_lvd1689m-*.pth or its model.safetensors (Meta's or Hugging Face's file of DINOv3 ViT-S/16)"},
      {"dists", ""},
      {"efficientnet_lite0", ""},
      {"fid", "pt_inception-2015-12-05-6726825d.pth of pytorch-fid"},
      {"liqe", "liqe_koniq.pt of LIQE"},
      {"liqe_mix", "liqe_mix.pt of LIQE"},
      {"lpips_alex", ""},
      {"lpips_vgg", ""},
      {"maniqa-kadid", "ckpt_kadid10k.pt of MANIQA"},
      {"maniqa-koniq", "ckpt_koniq10k.pt of MANIQA"},
      {"maniqa-pipal", "pyiqa's MANIQA_PIPAL-ae6d356b.pth"},
      {"musiq-ava", "pyiqa's musiq_ava_ckpt-*.pth"},
      {"musiq-koniq", "pyiqa's musiq_koniq_ckpt-*.pth"},
      {"musiq-paq2piq", "pyiqa's musiq_paq2piq_ckpt-*.pth"},
      {"musiq-spaq", "pyiqa's musiq_spaq_ckpt-*.pth"},
      {"niqe", ""},
  };
  return all;
}

std::filesystem::path weight_file(const std::string& name) {
  const auto& all = pretrained_weights();
  const auto row = std::ranges::find(all, name, [](const PretrainedWeights& w) { return std::string(w.name); });
  TORCH_CHECK(row != all.end(), "weight_file: no pretrained weights '", name, "'");
  if (*row->published != '\0')
    return in_cache(name + ".safetensors", "the converted weights",
                    fmt::format("supply {} and run `python3 tools/convert_weights.py {} FILE`", row->published, name));
  return in_cache(name + ".safetensors", fmt::format("the pretrained weights '{}'", name), "run `python3 tools/fetch_weights.py`");
}

std::filesystem::path ncnn_weight_file(const std::string& name) {
  return in_cache(name + ".param", fmt::format("the pretrained weights '{}'", name),
                  fmt::format("run `python3 tools/fetch_weights.py --only {}`", name));
}

at::Tensor tensor_of(const TensorFile& file, const std::string& where, const std::string& name, at::IntArrayRef shape) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end())
    throw model_error(fmt::format("weights: {}: expected tensor '{}', not in the file. convert or fetch it again", where, name));
  const at::Tensor tensor = from_data(found->second).to(at::kFloat);
  if (tensor.sizes() != shape)
    throw model_error(fmt::format("weights: {}: tensor '{}': expected shape {}, found {}. is it of another model?", where, name,
                                  shape.vec(), tensor.sizes().vec()));
  if (!tensor.isfinite().all().item<bool>())
    throw model_error(
        fmt::format("weights: {}: tensor '{}': expected finite numbers, found NaN or infinity. convert or fetch it again", where, name));
  return tensor;
}

ChannelStatistics imagenet_statistics(at::Device device) { return statistics({.485f, .456f, .406f}, {.229f, .224f, .225f}, device); }

ChannelStatistics clip_statistics(at::Device device) {
  return statistics({.48145466f, .4578275f, .40821073f}, {.26862954f, .26130258f, .27577711f}, device);
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
