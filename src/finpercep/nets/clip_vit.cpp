// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/clip_vit.h"

#include <fmt/format.h>

#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr double eps = 1e-5;

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
                      Linear{params.constant(name + "attn.in_proj_weight", {3 * width, width}, 0),
                             params.constant(name + "attn.in_proj_bias", {3 * width}, 0)},
                      make_linear(params, name + "attn.out_proj", width, width, 0),
                      make_linear(params, name + "mlp.c_fc", width, 4 * width, 0),
                      make_linear(params, name + "mlp.c_proj", 4 * width, width, 0), heads});
    blocks.back().quick_gelu = true;
  }
  after = make_layer_norm(params, "visual.ln_post", width, eps);
}

at::Tensor ClipViT::operator()(const at::Tensor& image) const {
  TORCH_CHECK(image.size(-1) == side && image.size(-2) == side, "ClipViT: expected sides of ", side, ", found ", image.sizes());
  const auto [mean, deviation] = clip_statistics(image.device());
  const at::Tensor cells = patches((image - mean) / deviation).flatten(2).transpose(1, 2);
  at::Tensor x = before(at::cat({class_token.expand({cells.size(0), 1, width}), cells}, 1) + positions);
  for (const TransformerBlock& block : blocks) x = block(std::move(x));
  return at::matmul(after(x.select(1, 0)), projection);
}

}  // namespace finpercep
