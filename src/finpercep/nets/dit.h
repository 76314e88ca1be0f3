// SPDX-License-Identifier: Apache-2.0
// A diffusion transformer (Peebles & Xie, ICCV 2023) as restoring net: time moves each block's norms and gates, which start at zero,
// through one layer for all blocks and a table a block (PixArt-alpha's adaLN-single). For SR of any size it attends within shifted windows
// with relative positions, and a depthwise convolution before each MLP brings what is near (as in DiT4SR). Like the UNet it works on
// pixel-unshuffled pictures.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/nets/blocks.h"

namespace finpercep {

struct DiTSettings {
  int64_t width = 128;  ///< channels of a token, a multiple of the heads
  int64_t depth = 6;    ///< blocks
  int64_t heads = 4;
  int64_t window = 8;  ///< side of the windows of attention, tokens
  int64_t patch = 8;   ///< side of a token, pixels
  void visit(SettingsVisitor& v);
};

struct DiT {
  struct Block {
    Linear qkv, out, fc1, fc2;
    Conv near;           ///< depthwise
    at::Tensor offsets;  ///< of relative positions in a window
    at::Tensor table;    ///< 6 x width, added to the time's shift, scale and gate of both halves
    bool shifted = false;
  };
  DiT(Params& params, const DiTSettings& settings);  ///< usage_error where the heads do not divide the width or the window is odd

  /// x, condition: N x 3 x H x W in [0,1] (x may carry noise); t: N in [0,1]. Sides must be multiples of `multiple()`.
  /// The net adds a residual to the condition: a fresh one returns the condition itself.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition, const at::Tensor& t) const;
  int64_t multiple() const { return settings.patch * settings.window; }

  DiTSettings settings;
  Linear time1, time2, modulation, out_modulation;
  Conv in, out;
  std::vector<Block> blocks;
};

}  // namespace finpercep
