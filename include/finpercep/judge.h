// SPDX-License-Identifier: Apache-2.0
// Judging pictures with FinPercep-RM, without LibTorch in sight.
#pragma once
#include <memory>
#include <string>

#include "finpercep/image.h"

namespace finpercep {

struct JudgeOptions {
  std::string model = "finpercep-rm";  ///< shipped model or checkpoint file
  int stage = -1;                      ///< k of RM_k; -1: the finest that the model has
  std::string device = "auto";         ///< cpu, cuda, cuda:N, auto
  std::string dtype = "fp32";          ///< fp32, bf16, auto
  int tile = 1024;                     ///< side of a tile, pixels, a multiple of 32; larger pictures are judged in overlapping tiles
};

/// What the reward model says of one picture.
struct Verdict {
  float score = 0;  ///< in [0,1], 1 = clean
  Image map;        ///< 1 channel, the picture's size, in [0,1], 1 = defect
  float map_max = 0, map_mean = 0;
};

class Judge {
 public:
  explicit Judge(const JudgeOptions& options = {});
  ~Judge();
  Judge(Judge&&) noexcept;
  Judge& operator=(Judge&&) noexcept;
  /// Any size from 1 x 1. Memory is bounded by the tile, the score comes from features pooled over all tiles.
  Verdict operator()(const Image& photo) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace finpercep
