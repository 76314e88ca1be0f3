// SPDX-License-Identifier: Apache-2.0
// FinPercep-RM: encoder, decoder, sigmoid -> Perceptual Degradation Map (PDM), and S = sigmoid(MLP(pool(f_N * interp(PDM)))).
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "finpercep/base/settings.h"
#include "finpercep/reward/encoder.h"

namespace finpercep {

constexpr int64_t finest_stage = 4;

struct RewardSettings {
  std::string encoder = "efficientnet";  ///< see RewardEncoder
  int64_t stage = finest_stage;          ///< k of RM_k: 0 no decoder, 1..4 the finest level at stride 16, 8, 4, 2
  std::string head =
      "defect_and_clean";  ///< what the MLP sees: "defect" f_N * M (the paper), "defect_and_clean" also f_N * (1 - M), "plain" f_N alone
  std::vector<int64_t> widths = {96, 64, 48, 32, 24};  ///< channels of the neck (stride 32) and of the levels at 16, 8, 4, 2
  int64_t head_width = 64;
  void visit(SettingsVisitor& v);
};

struct Judgement {
  at::Tensor score;        ///< N, in [0,1], 1 = clean
  at::Tensor score_logit;  ///< N, S before its sigmoid: what RL normalises, because it keeps its gradient where S is near 0 or 1
  at::Tensor logits;       ///< N x 1 x H x W, the map before the sigmoid
  at::Tensor map;  ///< N x 1 x H x W = sigmoid of the levels' bilinear logits, 1 = defect; 0.5 everywhere at stage 0, which sees no map
};

/// N x C x H x W mirrored at the bottom and right to `height` x `width`: what is beyond a picture's edge looks like what is inside.
/// (Repeating the last row makes streaks, which are no photograph: S fell by .006 to .024 for a side that is no multiple of 32.)
at::Tensor mirrored_to(at::Tensor x, int64_t height, int64_t width);

/// One set of weights holds the whole ladder RM_0 .. RM_stage: level k adds a residual to the coarser logits, at full size, and every stage
/// keeps its head. Stage k is judged with levels 1..k and head k.
class RewardModel {
 public:
  explicit RewardModel(const RewardSettings& settings, std::optional<uint64_t> seed = 0);  ///< none: weights are loaded, see Params
  RewardModel(const RewardModel&) = delete;
  RewardModel& operator=(const RewardModel&) = delete;

  /// x: N x 3 x H x W in [0,1], any size (mirrored to multiples of 32 inside). Differentiable in x and in the weights.
  Judgement judge(const at::Tensor& x, int64_t stage) const { return run(x, stage, stage).back(); }
  /// The judgements of stages 0..stage from one pass through encoder and decoder.
  std::vector<Judgement> judge_all(const at::Tensor& x, int64_t stage) const { return run(x, 0, stage); }

  void load_pretrained_encoder() const { encoder_.load_pretrained(); }

  /// Head k on pooled cells (N x C): how a picture judged in tiles gets one score.
  at::Tensor score_of(const at::Tensor& pooled, int64_t stage) const { return at::sigmoid(score_logit_of(pooled, stage)); }

  /// The same judgement of a picture whose features would not fit the memory, sides multiples of 32. Whole: the encoder's features at
  /// stride 8
  /// (`stride_8` of tiles, which may overlap), and from there all that is coarser. In tiles: the levels at strides 4 and 2. See judge.cpp.
  /// Only where in_parts().
  bool in_parts() const { return encoder_.in_parts(); }
  struct Coarse {
    at::Tensor features;             ///< N x C x h x w, at stride 32
    at::Tensor h;                    ///< of the finest coarse level
    std::vector<at::Tensor> logits;  ///< of levels 1, 2
  };
  static constexpr int64_t seen_by_stride_8 = 48,
                           seen_by_fine = 32;  ///< pixels around a tile that its result depends on at most; multiples of 8, 32
  at::Tensor stride_8(const at::Tensor& tile) const { return encoder_.lower(tile)[2]; }
  Coarse coarse(const at::Tensor& stride_8, int64_t stage) const;
  /// The map's logits on a tile whose corner lies at pixel (top, left), multiples of 32.
  at::Tensor fine_logits(const Coarse& coarse, const at::Tensor& tile, int64_t top, int64_t left, int64_t stage) const;
  /// What the head of the last stage pools, from the map's average over each cell (N x 1 x h x w).
  at::Tensor cells_of(const Coarse& coarse, const at::Tensor& map) const { return modulate(coarse.features, map); }

  /// Conv::pack of every convolution: judging without gradients on the CPU is then several times faster. The heads stay as they are.
  void pack(at::ScalarType dtype);

  RewardSettings settings;
  Params params;

 private:
  struct Level {
    Conv tap, fuse, refine, logits;
  };
  struct Head {
    Linear hidden, out;
  };
  static at::Tensor descend(const Level& level, const at::Tensor& h,
                            const at::Tensor& tap);  ///< the level's features from the coarser level's
  at::Tensor modulate(const at::Tensor& features, const at::Tensor& map) const;
  at::Tensor score_logit_of(const at::Tensor& pooled, int64_t stage) const;
  std::vector<Judgement> run(const at::Tensor& x, int64_t first, int64_t last) const;  ///< the judgements of stages first..last

  RewardEncoder encoder_;
  Conv neck_;
  std::vector<Level> levels_;
  std::vector<Head> heads_;

  friend std::unique_ptr<RewardModel> grow(const RewardModel& model, uint64_t seed);
  friend std::string reward_script(const RewardModel& model, int64_t stage);
};

/// `share` of the weights of `from` in those of `to`, where both have them: one of them is a stage of the other.
void blend_shared(const RewardModel& from, const RewardModel& to, double share);
/// RM_{k+1} with the weights of RM_k: the new level's logits start as a zero residual and the new head as a copy of the last, so both judge
/// every picture alike at birth. (0 -> 1: both see the map 0.5.)
std::unique_ptr<RewardModel> grow(const RewardModel& model, uint64_t seed);

/// Facts that a reward checkpoint carries beside its weights.
struct RewardFacts {
  double label_alpha = 0.6;  ///< of the labels it was trained on
  double label_scale = 0.3;  ///< Normalize: raw difference that is 1; 0: another for each picture (label.normalize image)
  std::string label_features = "efficientnet";  ///< net of the feature distance; checkpoints from before there was a choice do not say
};
/// A shipped model's name or a checkpoint. model_error for what is none or is damaged; input_error where the file cannot be read.
std::unique_ptr<RewardModel> load_reward(const std::string& name_or_file, at::Device device, RewardFacts* facts = nullptr);
/// usage_error for a reward whose labels had no one scale: no more of them can be made while it learns along.
void expect_label_scale(const RewardFacts& facts, const std::string& model);
/// In fp16; `notes` go to the metadata.
void save_reward(const std::filesystem::path& path, const RewardModel& model, const RewardFacts& facts,
                 const std::map<std::string, std::string>& notes);

}  // namespace finpercep
