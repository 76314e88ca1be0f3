// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/liqe.h"

#include <fmt/format.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int64_t step = 32, most_windows = 15, grades = 5, joint_words = grades * 9 * 11;

}  // namespace

Liqe Liqe::load(const std::string& form, at::Device device) {
  if (form != "liqe" && form != "liqe_mix") throw usage_error(fmt::format("liqe: form: expected liqe or liqe_mix, found '{}'", form));
  const auto path = weight_file(form);
  return from(read_safetensors(path, Checksum::if_present), path.string(), device);
}

Liqe Liqe::from(const TensorFile& file, const std::string& where, at::Device device) {
  Params params(std::nullopt);
  Liqe liqe{ClipViT(params), {}};
  finpercep::load(params, file, where, "", false);  // beside it lie the words
  params.to(device, at::kFloat);
  const auto found = file.tensors.find("text.quality");
  const bool joint = found != file.tensors.end() && !found->second.shape.empty() && found->second.shape[0] == joint_words;
  const at::Tensor words = tensor_of(file, where, "text.quality", {joint ? joint_words : grades, ClipViT::embedding});
  const at::Tensor scale = tensor_of(file, where, "logit_scale", {1});
  liqe.text = (words / at::linalg_vector_norm(words, 2, at::IntArrayRef(-1), true) * scale.exp()).to(device);
  return liqe;
}

at::Tensor Liqe::operator()(const at::Tensor& x) const {
  constexpr int64_t side = ClipViT::side;
  if (x.dim() != 4 || x.size(1) != 3) throw input_error("liqe: expected a batch with 3 channels");
  if (x.size(2) < side || x.size(3) < side)
    throw input_error(fmt::format("liqe: expected sides of at least {} pixels, found {}x{}", side, x.size(3), x.size(2)));
  const int64_t columns = (x.size(3) - side) / step + 1, all = ((x.size(2) - side) / step + 1) * columns,
                chosen = std::min(all, most_windows);
  at::Tensor logits;
  for (int64_t i = 0; i < chosen; ++i) {  // one window of every picture at a time: memory stays that of a batch
    const int64_t index = i * std::max<int64_t>(1, all / chosen);
    const at::Tensor window = x.narrow(2, index / columns * step, side).narrow(3, index % columns * step, side);
    const at::Tensor embedded = net(window);
    const at::Tensor cosine = at::linear(embedded / at::linalg_vector_norm(embedded, 2, at::IntArrayRef(-1), true), text);
    logits = logits.defined() ? logits + cosine : cosine;
  }
  const at::Tensor share = (logits / static_cast<double>(chosen)).softmax(1).unflatten(1, {grades, -1}).sum(2);
  return at::matmul(share, at::arange(1, grades + 1, share.options()));
}

}  // namespace finpercep
