// SPDX-License-Identifier: Apache-2.0
// Pictures of any size. One larger than a tile is judged as if it were whole: features at stride 8 from overlapping tiles, of which only
// the inside counts and sees all that it depends on; what is coarser, with its wide view, at once; the fine levels in tiles again. One
// score from all cells.
#include "finpercep/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/reward/model.h"

namespace finpercep {

namespace {

constexpr int64_t cell = 32;  // stride of f_N

int64_t whole_cells(int64_t pixels) { return (pixels + cell - 1) / cell * cell; }

// A tile of the padded picture: the part that counts, and what is seen.
struct Tile {
  int64_t top, left, height, width;  // counts
  int64_t y0, x0, seen_height, seen_width;
};

template <class Work>
void each_tile(int64_t height, int64_t width, int64_t side, int64_t margin, Work work) {
  for (int64_t top = 0; top < height; top += side)
    for (int64_t left = 0; left < width; left += side) {
      stop_if_interrupted("the picture at hand was not finished");
      const int64_t h = std::min(side, height - top), w = std::min(side, width - left), y0 = std::max<int64_t>(0, top - margin),
                    x0 = std::max<int64_t>(0, left - margin);
      work(Tile{top, left, h, w, y0, x0, std::min(height, top + h + margin) - y0, std::min(width, left + w + margin) - x0});
    }
}

// What the tile sees of the picture x, mirrored where the padded picture is larger: margins are wider than that.
at::Tensor seen(const at::Tensor& x, const Tile& tile, at::Device device) {
  const int64_t height = std::min(tile.seen_height, x.size(2) - tile.y0), width = std::min(tile.seen_width, x.size(3) - tile.x0);
  return mirrored_to(x.narrow(2, tile.y0, height).narrow(3, tile.x0, width).to(device), tile.seen_height, tile.seen_width);
}

at::Tensor inside(const at::Tensor& seen, const Tile& tile, int64_t stride) {
  return seen.narrow(2, (tile.top - tile.y0) / stride, tile.height / stride).narrow(3, (tile.left - tile.x0) / stride, tile.width / stride);
}

// The judgement of x; its map goes to `map`, whose size is x's.
at::Tensor judge_whole(const RewardModel& model, const at::Tensor& x, int64_t stage, at::Device device, const at::Tensor& map) {
  const Judgement j = model.judge(x.to(device), stage);
  map.copy_(j.map);
  return j.score;
}

at::Tensor judge_tiles(const RewardModel& model, const at::Tensor& x, int64_t stage, int64_t side, at::Device device,
                       const at::Tensor& map) {
  const int64_t height = whole_cells(x.size(2)), width = whole_cells(x.size(3));
  at::Tensor stride_8;
  each_tile(height, width, side, RewardModel::seen_by_stride_8, [&](const Tile& tile) {
    const at::Tensor part = inside(model.stride_8(seen(x, tile, device)), tile, 8);
    if (!stride_8.defined()) stride_8 = at::empty({1, part.size(1), height / 8, width / 8}, part.options(), at::MemoryFormat::ChannelsLast);
    stride_8.narrow(2, tile.top / 8, tile.height / 8).narrow(3, tile.left / 8, tile.width / 8).copy_(part);
  });
  const RewardModel::Coarse coarse = model.coarse(stride_8, stage);
  stride_8.reset();
  at::Tensor cell_map = at::empty({1, 1, height / cell, width / cell}, coarse.features.options());
  each_tile(height, width, side, RewardModel::seen_by_fine, [&](const Tile& tile) {
    const at::Tensor part = at::sigmoid(inside(model.fine_logits(coarse, seen(x, tile, device), tile.y0, tile.x0, stage), tile, 1));
    cell_map.narrow(2, tile.top / cell, tile.height / cell)
        .narrow(3, tile.left / cell, tile.width / cell)
        .copy_(at::avg_pool2d(part, cell));
    const int64_t h = std::min(tile.height, x.size(2) - tile.top), w = std::min(tile.width, x.size(3) - tile.left);
    map.narrow(2, tile.top, h).narrow(3, tile.left, w).copy_(part.narrow(2, 0, h).narrow(3, 0, w));
  });
  return model.score_of(model.cells_of(coarse, cell_map).mean({2, 3}), stage);
}

}  // namespace

// By a histogram: a sorted copy of a large map would be memory.
float severity_of(const Image& map) {
  constexpr int bins = 1 << 14;
  std::vector<double> sums(bins, 0.0), counts(bins, 0.0);
  for (const float value : map.data) {
    const int bin = value > 0 ? static_cast<int>(std::min(value * bins, bins - 1.0f)) : 0;  // NaN too
    sums[bin] += value;
    counts[bin] += 1;
  }
  const double wanted = std::max(1.0, std::round(severity_share * static_cast<double>(map.data.size())));
  double sum = 0, taken = 0;
  for (int bin = bins - 1; bin >= 0 && taken < wanted; --bin) {
    if (counts[bin] == 0) continue;
    const double take = std::min(counts[bin], wanted - taken);
    sum += sums[bin] / counts[bin] * take;  // of the last bin, whose values differ by less than 1e-4, a part
    taken += take;
  }
  return taken > 0 ? static_cast<float>(sum / taken) : 0;
}

namespace {

// A buffer of another range is judged too, plausibly and wrongly; a few values outside are what a net's pictures have.
void expect_unit_range(const Image& photo) {
  std::size_t outside = 0, none = 0;
  for (const float v : photo.data) {
    outside += v < -0.25f || v > 1.25f;
    none += !std::isfinite(v);
  }
  if (none > 0)
    throw input_error(fmt::format("picture: expected finite values, found NaN or infinity in {} of {}", none, photo.data.size()));
  if (outside * 20 > photo.data.size())
    throw input_error(
        fmt::format("picture: expected RGB in [0,1], found many values far outside, {} of {}. of [-1,1]: (x + 1) / 2; of 0..255: x / 255",
                    outside, photo.data.size()));
}

}  // namespace

struct Judge::Parts {
  std::string name;
  Compute compute;
  std::unique_ptr<RewardModel> model;
  int64_t stage;
  int64_t tile;
};

Judge::Judge(const JudgeOptions& options) : parts_(std::make_unique<Parts>()) {
  parts_->name = options.model;
  parts_->compute = resolve_compute(options.device, options.dtype);
  parts_->model = load_reward(options.model, parts_->compute.device);
  parts_->model->pack(parts_->compute.dtype);
  parts_->stage = options.stage < 0 ? parts_->model->settings.stage : options.stage;
  parts_->tile = std::max(2 * cell, options.tile / cell * cell);
  if (parts_->stage > parts_->model->settings.stage)
    throw model_error("model: " + options.model + ": expected stage 0.." + std::to_string(parts_->model->settings.stage) +
                      ", found stage " + std::to_string(options.stage));
}

Judge::~Judge() = default;
Judge::Judge(Judge&&) noexcept = default;
Judge& Judge::operator=(Judge&&) noexcept = default;

const std::string& Judge::model() const { return parts_->name; }
int Judge::stage() const { return static_cast<int>(parts_->stage); }

Verdict Judge::operator()(const Image& photo) const {
  if (photo.channels != 3 || photo.width < 1 || photo.height < 1 || photo.data.size() != 3 * photo.plane_size())
    throw input_error(fmt::format("picture: expected 3 channels of at least 1 x 1 pixels, found {} of {} x {}, and {} values",
                                  photo.channels, photo.width, photo.height, photo.data.size()));
  expect_unit_range(photo);
  at::NoGradGuard no_grad;
  const Compute& compute = parts_->compute;
  const MixedPrecision precision(compute.device, parts_->model->in_parts() && can_pack(compute.device, compute.dtype)
                                                     ? at::kFloat
                                                     : compute.dtype);  // packed layers have their own type
  // The picture's own memory: a copy of 100 megapixels is 1.2 GB.
  const at::Tensor x = at::from_blob(const_cast<float*>(photo.data.data()), {1, photo.channels, photo.height, photo.width});
  Verdict verdict;
  verdict.map = Image(photo.width, photo.height, 1);
  const at::Tensor map = at::from_blob(verdict.map.data.data(), {1, 1, photo.height, photo.width});
  const bool whole = !parts_->model->in_parts() || std::max(photo.height, photo.width) <= parts_->tile;
  verdict.score = (whole ? judge_whole(*parts_->model, x, parts_->stage, compute.device, map)
                         : judge_tiles(*parts_->model, x, parts_->stage, parts_->tile, compute.device, map))
                      .item<float>();
  double total = 0;
  for (float v : verdict.map.data) {
    verdict.map_max = std::max(verdict.map_max, v);
    total += v;
  }
  verdict.severity = severity_of(verdict.map);
  verdict.map_mean = static_cast<float>(total / static_cast<double>(verdict.map.data.size()));
  return verdict;
}

}  // namespace finpercep
