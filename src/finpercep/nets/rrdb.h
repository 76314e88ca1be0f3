// SPDX-License-Identifier: Apache-2.0
// RRDBNet (Wang et al., ESRGAN 2018; x4 as in Real-ESRGAN 2021): residual-in-residual dense blocks at LR size, then twice nearest x2 and a
// convolution. Its published weights are a GAN's: crisp, with invented texture.
#pragma once
#include <array>
#include <functional>

#include "finpercep/base/ncnn.h"
#include "finpercep/base/settings.h"
#include "finpercep/nets/blocks.h"

namespace finpercep {

struct RRDBSettings {
  int64_t features = 64, growth = 32, blocks = 23;  ///< realesrgan-x4plus; its anime sister has 6 blocks
  void visit(SettingsVisitor& v);
};

struct RRDB {
  using Dense = std::array<Conv, 5>;  ///< each sees the block's input and the outputs of those before it

  /// `gain` of the initial weights: small, as in the paper.
  RRDB(Params& params, const RRDBSettings& settings, double gain = 0.1);

  /// N x 3 x H x W in [0,1] of the parameters' type -> N x 3 x 4H x 4W, not clamped.
  at::Tensor operator()(const at::Tensor& lr) const;

  Conv first, trunk, up1, up2, high, last;
  std::vector<std::array<Dense, 3>> blocks;
};

/// The same net for float32 on the CPU, without gradients: Winograd convolutions, weights laid out once. 1.4 times as fast.
/// Features and growth must be multiples of 8.
std::function<at::Tensor(const at::Tensor& lr)> compiled(const RRDB& net);

/// What the graph says of the net's size, then its weights; model_error where the graph is not an RRDBNet of scale 4.
RRDBSettings rrdb_settings(const NcnnGraph& graph, const std::string& where);
void load_ncnn(const RRDB& net, const NcnnGraph& graph, const std::string& where);

}  // namespace finpercep
