// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/clipiqa.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

at::Tensor unit(const at::Tensor& x) { return x / at::linalg_vector_norm(x, 2, at::IntArrayRef(-1), true); }

}  // namespace

ClipIqa ClipIqa::load(const std::string& prompts, at::Device device) {
  const auto path = weight_file("clipiqa");
  return from(read_safetensors(path, Checksum::if_present), path.string(), prompts, device);
}

ClipIqa ClipIqa::from(const TensorFile& file, const std::string& where, const std::string& prompts, at::Device device) {
  if (prompts != "pairs" && prompts != "pair")
    throw usage_error(fmt::format("clipiqa: prompts: expected pairs or pair, found '{}'", prompts));
  Params params(std::nullopt);
  ClipIqa iqa{ClipResNet(params), {}};
  load_clip(iqa.net, file, where);
  params.to(device, at::kFloat);
  const at::Tensor words = tensor_of(file, where, "text." + prompts, {prompts == "pairs" ? 10 : 2, ClipResNet::embedding});
  const at::Tensor scale = tensor_of(file, where, "logit_scale", {1});  // its logarithm, as in CLIP's state dict
  iqa.text = (unit(words) * scale.exp()).to(device);
  return iqa;
}

at::Tensor ClipIqa::operator()(const at::Tensor& x) const {
  if (x.dim() != 4 || x.size(1) != 3) throw input_error("clipiqa: expected a batch with 3 channels");
  if (x.size(2) < ClipResNet::min_side || x.size(3) < ClipResNet::min_side)
    throw input_error(
        fmt::format("clipiqa: expected sides of at least {} pixels, found {}x{}", ClipResNet::min_side, x.size(3), x.size(2)));
  const at::Tensor logits = at::linear(unit(net.embed(net(x)[4])), text);
  return logits.unflatten(1, {logits.size(1) / 2, 2}).softmax(2).select(2, 0).mean(1);
}

}  // namespace finpercep
