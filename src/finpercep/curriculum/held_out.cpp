// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/held_out.h"

#include "finpercep/image/overlay.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

HeldOut::HeldOut(const PhotoSettings& photos, const DegradeSettings& degradation, int64_t count, int64_t size, const Compute& compute)
    : metrics_({"psnry", "ssim", "lpips"}, {.device = compute.device.str()}), options_{.tile = 0, .compute = compute} {
  const PhotoSet set(photos, static_cast<int>(size), count);
  for (int64_t i = 0; i < set.size(); ++i) {
    Image gt = set.centre_crop(i, static_cast<int>(size), static_cast<int>(size));
    Image lr = degrade(gt, degradation, Random(0, "held-out", static_cast<uint64_t>(i)));
    pairs_.push_back({std::move(gt), std::move(lr)});
  }
}

std::vector<Image> HeldOut::pictures(const Generator& generator, int64_t count) const {
  std::vector<Image> pictures;
  for (std::size_t i = 0; i < pairs_.size() && static_cast<int64_t>(i) < count; ++i)
    pictures.push_back(upscale(generator, pairs_[i].lr, i, options_));
  return pictures;
}

Metrics HeldOut::measure(const std::vector<Image>& pictures) const {
  Metrics means;
  for (const std::string& name : metrics_.names()) means.emplace_back("val_" + name, 0.0);
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const std::vector<double> values = metrics_.compute(pictures.at(i), pairs_[i].gt);
    for (std::size_t m = 0; m < values.size(); ++m) means[m].second += values[m] / static_cast<double>(pairs_.size());
  }
  return means;
}

Image HeldOut::sheet(const std::vector<Image>& before, const std::vector<Image>& now, const RewardModel& reward, int64_t stage) const {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const TrainingPair& pair = pairs_.at(i);
    const at::Tensor lr = at::upsample_nearest2d(to_tensor(pair.lr), at::IntArrayRef{pair.gt.height, pair.gt.width}),
                     sr = to_tensor(now.at(i));
    const at::Tensor map = to_tensor(heat_map(to_image(reward.judge(sr.to(options_.compute.device), stage).map.cpu())));
    rows.push_back(at::cat({lr, to_tensor(before[i]), sr, map, to_tensor(pair.gt)}, 3));
  }
  return to_image(at::cat(rows, 2));
}

}  // namespace finpercep
