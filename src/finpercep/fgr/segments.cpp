// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/segments.h"

#include <fmt/format.h>

#include <filesystem>

#include "finpercep/base/error.h"
#include "finpercep/fgr/superpixels.h"
#include "finpercep/image/resize.h"

namespace finpercep {

struct SegmentSet::Net {
  explicit Net(at::Device device) : params(std::nullopt), dino(params, DinoVersion::v2) {
    load_pretrained(dino, DinoVersion::v2);
    params.to(device, at::kFloat);
  }
  Params params;
  Dino dino;
};

SegmentSet::SegmentSet(const PhotoSet& photos, const MaskSettings& masks, uint64_t seed, at::Device device)
    : photos_(photos), folders_(masks.segments), seed_(seed), device_(device) {
  if (!folders_.empty()) check_names_differ(photos, "masks.segments");
  for (const std::string& folder : folders_)
    if (!std::filesystem::is_directory(folder))
      throw input_error(fmt::format("masks.segments: {}: expected a folder, found none. give another, or leave it out", folder));
  for (int64_t i = 0; i < photos.size(); ++i) names_.insert(photos.name(i));
  for (int64_t i = 0; i < photos.size(); ++i) slots_.push_back(std::make_unique<Slot>());
}

SegmentSet::Found SegmentSet::of(const PhotoCrop& crop) const {
  Slot& slot = *slots_[crop.photo];
  std::call_once(slot.once, [&] {
    if (auto drawn = read_segments(folders_, photos_.name(crop.photo), photos_.width(crop.photo), photos_.height(crop.photo), names_)) {
      slot.map = std::move(*drawn);
      slot.kind = "segments";
      return;
    }
    std::call_once(net_once_, [&] { net_ = std::make_shared<Net>(device_); });
    Random random(seed_, "segments", static_cast<uint64_t>(crop.photo));
    slot.map = token_segments(net_->dino, photos_.photo(crop.photo), random);
  });
  return {cut(slot.map, crop.x, crop.y, crop.size, crop.size, crop.mirrored), slot.kind};
}

}  // namespace finpercep
