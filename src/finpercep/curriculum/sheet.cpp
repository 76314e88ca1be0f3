// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/sheet.h"

#include "finpercep/image/overlay.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

Image sample_sheet(const HeldOut& held_out, const std::vector<Image>& before, const std::vector<Image>& now, const RewardModel& reward,
                   int64_t stage) {
  at::NoGradGuard no_grad;
  const at::Device device = reward.params.named()[0].second.device();
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const TrainingPair& pair = held_out.pair(i);
    const at::Tensor lr = at::upsample_nearest2d(to_tensor(pair.lr), at::IntArrayRef{pair.gt.height, pair.gt.width}),
                     sr = to_tensor(now.at(i));
    const at::Tensor map = to_tensor(heat_map(to_image(reward.judge(sr.to(device), stage).map.cpu())));
    rows.push_back(at::cat({lr, to_tensor(before[i]), sr, map, to_tensor(pair.gt)}, 3));
  }
  return to_image(at::cat(rows, 2));
}

}  // namespace finpercep
