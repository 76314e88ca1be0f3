// SPDX-License-Identifier: Apache-2.0
// The label maps of a set's photographs: what people or SAM drew where there is such a file, else clustered DINO tokens.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/fgr/semantic_mask.h"
#include "finpercep/nets/dino.h"

namespace finpercep {

/// Maps are made when first asked for, from the photograph alone, and kept: 2 bytes a pixel.
class SegmentSet {
 public:
  /// Of the photographs that random_mask's settings name segments for. `photos` must outlive this. Loads DINO only if some photograph has
  /// no file.
  SegmentSet(const PhotoSet& photos, const MaskSettings& masks, uint64_t seed, at::Device device);

  struct Found {
    LabelMap map;      ///< of the crop
    const char* kind;  ///< "segments" from a file, "dino"
  };
  /// From any thread.
  Found of(const PhotoCrop& crop) const;

 private:
  struct Slot {
    std::once_flag once;
    LabelMap map;
    const char* kind = "dino";
  };
  const PhotoSet& photos_;
  std::vector<std::string> folders_;
  uint64_t seed_;
  at::Device device_;
  std::set<std::string> names_;  // of the photographs
  mutable std::vector<std::unique_ptr<Slot>> slots_;
  struct Net;
  mutable std::once_flag net_once_;
  mutable std::shared_ptr<Net> net_;
};

}  // namespace finpercep
