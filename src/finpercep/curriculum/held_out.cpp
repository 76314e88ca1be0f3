// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/held_out.h"

#include <algorithm>

#include "finpercep/image/overlay.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

HeldOut::HeldOut(const PhotoSettings& photos, const DegradeSettings& degradation, int64_t count, int64_t size, const Compute& compute)
    : metrics_({"psnry", "ssim", "lpips"}), options_{.tile = 0, .compute = compute} {
  const PhotoSet set(photos, static_cast<int>(size));
  for (int64_t i = 0; i < std::min(count, set.size()); ++i) {
    Image gt = set.centre_crop(i, static_cast<int>(size), static_cast<int>(size));
    Image lr = degrade(gt, degradation, Random(0, "held-out", static_cast<uint64_t>(i)));
    pairs_.push_back({std::move(gt), std::move(lr)});
  }
}

Metrics HeldOut::measure(const Generator& generator) const {
  Metrics means;
  for (const std::string& name : metrics_.names()) means.emplace_back("val_" + name, 0.0);
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const std::vector<double> values = metrics_.compute(upscale(generator, pairs_[i].lr, i, options_), pairs_[i].gt);
    for (std::size_t m = 0; m < values.size(); ++m) means[m].second += values[m] / static_cast<double>(pairs_.size());
  }
  return means;
}

Image HeldOut::sheet(const Generator& reference, const Generator& generator, const RewardModel& reward, int64_t stage, int64_t rows) const {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> sheet;
  for (std::size_t i = 0; i < std::min(pairs_.size(), static_cast<std::size_t>(rows)); ++i) {
    const TrainingPair& pair = pairs_[i];
    const at::Tensor lr = at::upsample_nearest2d(to_tensor(pair.lr), at::IntArrayRef{pair.gt.height, pair.gt.width}), sr = to_tensor(upscale(generator, pair.lr, i, options_));
    const at::Tensor map = to_tensor(heat_map(to_image(reward.judge(sr.to(options_.compute.device), stage).map.cpu())));
    sheet.push_back(at::cat({lr, to_tensor(upscale(reference, pair.lr, i, options_)), sr, map, to_tensor(pair.gt)}, 3));
  }
  return to_image(at::cat(sheet, 2));
}

}  // namespace finpercep
