// SPDX-License-Identifier: Apache-2.0
// Judging pictures with FinPercep-RM, without LibTorch in sight.
#pragma once
#include <memory>
#include <string>

#include "finpercep/image.h"

namespace finpercep {

struct JudgeOptions {
  std::string model = "finpercep-rm";  ///< shipped model or checkpoint file
  int stage = -1;                      ///< k of RM_k; below 0: the finest that the model has
  std::string device = "auto";         ///< cpu, cuda, cuda:N, auto
  std::string dtype = "fp32";          ///< fp32, bf16, auto
  int tile = 1024;  ///< side of a tile, pixels, taken down to a multiple of 32, at least 64: larger pictures are judged in tiles, with the
                    ///< same result
};

/// What the reward model says of one picture: the model's own outputs, which no later step rescales. What a value such as 0.5 means was set
/// when the model was trained, and its card says it.
struct Verdict {
  float score = 0;  ///< sigmoid of the head, in [0,1], 1 = clean
  Image map;        ///< 1 channel, the picture's size: severity in [0,1], 1 = defect; 0.5 everywhere at stage 0, which has no map
  float map_max = 0, map_mean = 0;  ///< over the picture's pixels
  float severity = 0;               ///< severity_of(map)
};

constexpr double severity_share = 0.2;
/// Mean of a map over the worst fifth of its pixels. 0 for a map without pixels.
float severity_of(const Image& map);

class Judge {
 public:
  explicit Judge(const JudgeOptions& options = {});
  ~Judge();
  Judge(Judge&&) noexcept;
  Judge& operator=(Judge&&) noexcept;
  /// RGB in [0,1], any size from 1 x 1; input_error for other channels, data of another size, NaN or infinity, and where a twentieth of the
  /// values is far outside (below -.25 or above 1.25). Memory grows with the picture: 1.3 GiB were measured for 24 megapixels. Memory that
  /// runs out is another std::exception than Error, as in the constructor.
  Verdict operator()(const Image& photo) const;
  const std::string& model() const;  ///< as the options name it
  int stage() const;                 ///< k of the RM_k that judges

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace finpercep
