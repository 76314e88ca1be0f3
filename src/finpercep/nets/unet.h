// SPDX-License-Identifier: Apache-2.0
// The restoring net: a conditional UNet that works on pixel-unshuffled pictures, so an SR of 4 times costs as much as a net at LR size.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/nets/blocks.h"

namespace finpercep {

struct UNetSettings {
  std::vector<int64_t> channels = {64, 128, 192};  ///< per resolution; the first is at 1/unshuffle of the picture
  int64_t blocks = 2;                              ///< residual blocks a resolution, down and up
  int64_t unshuffle = 4;
  void visit(SettingsVisitor& v);
};

struct UNet {
  struct Block {  ///< norm, SiLU, conv, + time scale and shift, norm, SiLU, zero-started conv; residual
    GroupNorm norm1, norm2;
    Conv conv1, conv2, skip;  ///< skip: 1x1, undefined weight when the channels agree
    Linear time;
  };
  UNet(Params& params, const UNetSettings& settings);

  /// x, condition: N x 3 x H x W in [0,1] (x may carry noise); t: N in [0,1]. Sides must be multiples of `multiple()`.
  /// The net adds a residual to the condition: a fresh one returns the condition itself.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition, const at::Tensor& t) const;
  int64_t multiple() const { return unshuffle << (levels - 1); }

  int64_t unshuffle, levels, blocks_per_level;
  Linear time1, time2;
  Conv in, out;
  GroupNorm out_norm;
  std::vector<Block> down, middle, up;
  std::vector<Conv> shrink, grow;
};

}  // namespace finpercep
