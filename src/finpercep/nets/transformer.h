// SPDX-License-Identifier: Apache-2.0
// What the nets of tokens share.
#pragma once
#include <functional>
#include <optional>

#include "finpercep/nets/blocks.h"

namespace finpercep {

struct LayerNorm {
  at::Tensor weight, bias;
  double eps = 1e-5;
  at::Tensor operator()(const at::Tensor& x) const { return at::layer_norm(x, {weight.size(0)}, weight, bias, eps); }
};
inline LayerNorm make_layer_norm(Params& params, const std::string& name, int64_t dim, double eps) {
  return {params.constant(name + ".weight", {dim}, 1), params.constant(name + ".bias", {dim}, 0), eps};
}

/// Scaled dot-product attention of `heads` heads: q is N x T x C, k and v N x S x C; N x T x C. `bias`, N x heads x T x S, is added to the
/// logits.
inline at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads,
                         const std::optional<at::Tensor>& bias = {}) {
  const auto split = [heads](const at::Tensor& t) { return t.unflatten(2, {heads, t.size(2) / heads}).transpose(1, 2); };
  return at::scaled_dot_product_attention(split(q), split(k), split(v), bias).transpose(1, 2).flatten(2);
}

/// Attention of every token to every other, then an MLP with GELU; each takes its input through a norm and is added to it (ViT,
/// Dosovitskiy et al. 2021).
struct TransformerBlock {
  LayerNorm norm1, norm2;
  Linear qkv, out, fc, project;
  int64_t heads = 1;
  bool quick_gelu = false;  ///< x sigmoid(1.702 x) in place of GELU, as OpenAI's CLIP has it

  /// x: N x T x C, the result too. `turn`, where there is one, is applied to queries and keys, N x T x C each: rotary positions.
  at::Tensor operator()(at::Tensor x, const std::function<at::Tensor(const at::Tensor&)>& turn = {}) const;
};

}  // namespace finpercep
