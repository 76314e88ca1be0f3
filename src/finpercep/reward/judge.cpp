// SPDX-License-Identifier: Apache-2.0
// Pictures of any size: overlapping tiles, of which only the inside counts; one score from the cells of all tiles.
#include "finpercep/judge.h"

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/reward/model.h"

namespace finpercep {

namespace {

constexpr int cell = 32;          // stride of f_N
constexpr int margin = 4 * cell;  // context around a tile that is seen but not counted

}  // namespace

struct Judge::Parts {
  Compute compute;
  std::unique_ptr<RewardModel> model;
  int64_t stage;
  int tile;
};

Judge::Judge(const JudgeOptions& options) : parts_(std::make_unique<Parts>()) {
  parts_->compute = resolve_compute(options.device, options.dtype);
  parts_->model = load_reward(options.model, parts_->compute.device);
  parts_->stage = options.stage < 0 ? parts_->model->settings.stage : options.stage;
  parts_->tile = std::max(2 * cell, options.tile / cell * cell);
  if (parts_->stage > parts_->model->settings.stage)
    throw model_error("model: " + options.model + ": expected stage 0.." + std::to_string(parts_->model->settings.stage) + ", found --stage " +
                      std::to_string(options.stage));
}

Judge::~Judge() = default;
Judge::Judge(Judge&&) noexcept = default;
Judge& Judge::operator=(Judge&&) noexcept = default;

Verdict Judge::operator()(const Image& photo) const {
  at::NoGradGuard no_grad;
  const MixedPrecision precision(parts_->compute.device, parts_->compute.dtype);
  // The picture's own memory: a copy of 100 megapixels is 1.2 GB.
  const at::Tensor x = at::from_blob(const_cast<float*>(photo.data.data()), {1, photo.channels, photo.height, photo.width});
  Verdict verdict;
  verdict.map = Image(photo.width, photo.height, 1);
  at::Tensor sum;
  int64_t cells = 0;
  for (int top = 0; top < photo.height; top += parts_->tile)
    for (int left = 0; left < photo.width; left += parts_->tile) {
      const int inner_h = std::min(parts_->tile, photo.height - top), inner_w = std::min(parts_->tile, photo.width - left);
      const int y0 = std::max(0, top - margin), x0 = std::max(0, left - margin);
      const int y1 = std::min(photo.height, top + inner_h + margin), x1 = std::min(photo.width, left + inner_w + margin);
      const at::Tensor tile = x.narrow(2, y0, y1 - y0).narrow(3, x0, x1 - x0).contiguous().to(parts_->compute.device);
      const Judgement j = parts_->model->judge(tile, parts_->stage);
      const at::Tensor map = j.map.to(at::kCPU).contiguous();
      for (int row = 0; row < inner_h; ++row) {
        const float* from = map.data_ptr<float>() + static_cast<int64_t>(top - y0 + row) * (x1 - x0) + (left - x0);
        std::copy_n(from, inner_w, &verdict.map.at(0, top + row, left));
      }
      const at::Tensor inside = j.cells.narrow(2, (top - y0) / cell, (inner_h + cell - 1) / cell).narrow(3, (left - x0) / cell, (inner_w + cell - 1) / cell);
      sum = sum.defined() ? sum + inside.sum({2, 3}) : inside.sum({2, 3});
      cells += inside.size(2) * inside.size(3);
    }
  verdict.score = parts_->model->score_of(sum / cells, parts_->stage).item<float>();
  double total = 0;
  for (float v : verdict.map.data) {
    verdict.map_max = std::max(verdict.map_max, v);
    total += v;
  }
  verdict.map_mean = static_cast<float>(total / static_cast<double>(verdict.map.data.size()));
  return verdict;
}

}  // namespace finpercep
