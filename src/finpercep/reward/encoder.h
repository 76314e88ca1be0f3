// SPDX-License-Identifier: Apache-2.0
// What the reward model sees with: one of the pretrained nets, tapped at strides 2, 4, 8, 16 and 32.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "finpercep/nets/clip_resnet.h"
#include "finpercep/nets/dino.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

/// Names: efficientnet (EfficientNet-Lite0, ImageNet), dinov2 (ViT-S/14), clip (CLIP's RN50, the encoder of the paper's CLIP-IQA; weights
/// are supplied by the user).
const std::vector<std::string>& encoder_names();

/// One of these, made by name. What the class asks of a net stands at the head of encoder.cpp.
using EncoderNet = std::variant<EfficientNetLite0, ClipResNet, Dino>;

class RewardEncoder {
 public:
  RewardEncoder(Params& params, const std::string& name);

  /// x: N x 3 x H x W RGB in [0,1], sides multiples of 32. Tap k belongs to stride 2^(k+1) and has channels()[k]. A transformer's tokens
  /// lie on its own grid of patches for taps finer than stride 16 (there is nothing finer in them): who wants the stride's grid resamples.
  /// Taps 3 and 4 are always on the stride's grid.
  std::array<at::Tensor, 5> operator()(const at::Tensor& x) const;
  const std::array<int64_t, 5>& channels() const { return channels_; }

  /// The same in parts, so that a large picture's fine taps can be made of tiles: strides 2 and 4, or 2, 4 and 8, and from the last of them
  /// 16 and 32. Only where in_parts(): a transformer's tokens see the whole picture.
  bool in_parts() const;
  std::array<at::Tensor, 2> finest(const at::Tensor& x) const;
  std::array<at::Tensor, 3> lower(const at::Tensor& x) const;
  std::array<at::Tensor, 2> upper(const at::Tensor& at_stride_8) const;
  /// Conv::pack of every convolution; nothing for nets that have no packed form.
  void pack(at::ScalarType dtype);

  /// The method `encoder(self, image: Tensor) -> List[Tensor]` in TorchScript. model_error for CLIP, which has none.
  std::string script() const;

  /// Loads the public weights. model_error with what to do when they are not in the cache.
  void load_pretrained() const;

  /// True for tensors (by the name in `params`) of the stem and of the first `blocks` blocks: what stays as it was pretrained.
  static bool in_first_blocks(const std::string& name, int64_t blocks);

 private:
  EncoderNet net_;
  std::array<int64_t, 5> channels_;
};

}  // namespace finpercep
