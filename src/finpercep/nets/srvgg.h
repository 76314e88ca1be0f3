// SPDX-License-Identifier: Apache-2.0
// SRVGGNetCompact (Real-ESRGAN's net for video, 2021): a chain of 3 x 3 convolutions with PReLU at LR size, pixel shuffle, and the nearest
// up-sampled input added. Small and fast.
#pragma once
#include <functional>

#include "finpercep/base/ncnn.h"
#include "finpercep/base/settings.h"
#include "finpercep/nets/blocks.h"

namespace finpercep {

struct SRVGGSettings {
  int64_t features = 64, convs = 16;  ///< realesr-animevideov3; `convs` between the first and the last
  void visit(SettingsVisitor& v);
};

struct SRVGG {
  static constexpr int64_t scale = 4;

  SRVGG(Params& params, const SRVGGSettings& settings);

  /// N x 3 x H x W in [0,1] of the parameters' type -> N x 3 x 4H x 4W, not clamped.
  at::Tensor operator()(const at::Tensor& lr) const;

  std::vector<Conv> convs;         ///< all but the last are followed by a PReLU
  std::vector<at::Tensor> slopes;  ///< of a channel
};

/// As for RRDB.
std::function<at::Tensor(const at::Tensor& lr)> compiled(const SRVGG& net);
SRVGGSettings srvgg_settings(const NcnnGraph& graph, const std::string& where);
void load_ncnn(const SRVGG& net, const NcnnGraph& graph, const std::string& where);

}  // namespace finpercep
