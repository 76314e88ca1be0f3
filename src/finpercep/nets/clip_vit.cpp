// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/clip_vit.h"

#include <fmt/format.h>

namespace finpercep {

namespace {

constexpr double eps = 1e-5;

Linear linear_of(Params& params, const std::string& weight, const std::string& bias, int64_t in, int64_t out) {
  return {params.constant(weight, {out, in}, 0), params.constant(bias, {out}, 0)};
}

Linear linear_of(Params& params, const std::string& name, int64_t in, int64_t out) {
  return linear_of(params, name + ".weight", name + ".bias", in, out);
}

}  // namespace

ClipViT::ClipViT(Params& params) {
  constexpr int64_t tokens = (side / patch) * (side / patch) + 1;
  class_token = params.constant("visual.class_embedding", {width}, 0);
  positions = params.constant("visual.positional_embedding", {tokens, width}, 0);
  projection = params.constant("visual.proj", {width, embedding}, 0);
  patches = {params.constant("visual.conv1.weight", {width, 3, patch, patch}, 0), {}, patch, 0, 1};
  before = make_layer_norm(params, "visual.ln_pre", width, eps);
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name = fmt::format("visual.transformer.resblocks.{}.", i);
    blocks.push_back({make_layer_norm(params, name + "ln_1", width, eps), make_layer_norm(params, name + "ln_2", width, eps),
                      linear_of(params, name + "attn.in_proj_weight", name + "attn.in_proj_bias", width, 3 * width),
                      linear_of(params, name + "attn.out_proj", width, width), linear_of(params, name + "mlp.c_fc", width, 4 * width),
                      linear_of(params, name + "mlp.c_proj", 4 * width, width)});
  }
  after = make_layer_norm(params, "visual.ln_post", width, eps);
}

at::Tensor ClipViT::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) == side && image.size(-2) == side, "ClipViT: expected sides of ", side, ", found ", image.sizes());
  const at::Tensor mean = at::tensor({.48145466f, .4578275f, .40821073f}).view({1, 3, 1, 1}).to(image.device());
  const at::Tensor deviation = at::tensor({.26862954f, .26130258f, .27577711f}).view({1, 3, 1, 1}).to(image.device());
  const at::Tensor cells = patches((image - mean) / deviation).flatten(2).transpose(1, 2);
  at::Tensor x = before(at::cat({class_token.expand({cells.size(0), 1, width}), cells}, 1) + positions);
  for (const Block& block : blocks) {
    const auto qkv = block.qkv(block.norm1(x)).chunk(3, 2);
    x = x + block.out(attend(qkv[0], qkv[1], qkv[2], heads));
    const at::Tensor h = block.fc(block.norm2(x));
    x = x + block.project(h * at::sigmoid(1.702 * h));  // "quick GELU"
  }
  return at::matmul(after(x.select(1, 0)), projection);
}

}  // namespace finpercep
