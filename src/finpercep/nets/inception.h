// SPDX-License-Identifier: Apache-2.0
// Inception V3 (Szegedy et al., CVPR 2016) as FID uses it: the TensorFlow model of 2015-12-05, whose average pools leave out the border and
// whose last block pools by the maximum. Up to the 2048 means before the classifier.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "finpercep/nets/blocks.h"

namespace finpercep {

struct Inception {
  /// Convolution without bias, batch normalisation (folded in on loading), ReLU.
  struct Unit {
    std::string name;
    at::Tensor weight, bias;
    int64_t stride = 1;
    std::array<int64_t, 2> padding = {0, 0};
    at::Tensor operator()(const at::Tensor& x) const;
  };
  enum class Pool { none, average, max, max_halved };
  /// Pooled, then through the chain; with heads, what each of them makes of the chain's end.
  struct Branch {
    Pool pool = Pool::none;
    std::vector<Unit> chain, heads;
  };
  using Block = std::vector<Branch>;  ///< outputs side by side
  static constexpr int64_t side = 299, features = 2048;

  explicit Inception(Params& params);
  /// x: N x 3 x 299 x 299 in [-1,1]. N x 2048.
  at::Tensor operator()(const at::Tensor& x) const;

  std::vector<Block> blocks;
};

/// Loads the tensors of pt_inception-2015-12-05-6726825d.pth, "Mixed_5b.branch1x1.conv.weight" and so on.
void load_inception(const Inception& net, const TensorFile& file, const std::string& where);

}  // namespace finpercep
