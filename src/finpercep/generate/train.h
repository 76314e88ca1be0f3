// SPDX-License-Identifier: Apache-2.0
// Supervised training of a generator: predict x0 at a random step of the chain, from a photograph diffused to that step (ResShift's own
// training) or, from `rollout_from` on, from the state that the generator's own chain has there.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "finpercep/base/settings.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/generate/generator.h"
#include "finpercep/generate/held_out.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/nets/train_loop.h"

namespace finpercep {

struct PairSettings {
  PhotoSettings photos;
  VariationSettings gt_variation;
  DegradeSettings degradation;
  int64_t gt_size = 192;
  int64_t batch_size = 8;
  int64_t num_worker = 1;  ///< threads that make pairs ahead
  void visit(SettingsVisitor& v);
};

/// ResShift's recipe is l2 and LPIPS-vgg, both with weight 1 (Yue, Wang & Loy 2023; released configs). Both are of the predicted x0.
struct GeneratorLossSettings {
  std::string pixel = "l1";
  double pixel_weight = 1;
  double perceptual_weight = 0;  ///< LPIPS-vgg; LPIPS-alex is kept for judging
  int64_t perceptual_size = 64;  ///< of a window, drawn anew for each batch, that LPIPS is taken of: VGG costs more than the generator
  void visit(SettingsVisitor& v);
};

struct GeneratorTrainSettings {
  int64_t manual_seed = 0;
  std::string device = "auto";
  std::string dtype = "auto";
  std::string pretrain_network_g = "";  ///< start from this model instead of from noise
  GeneratorSettings network_g;
  PairSettings datasets;
  LoopSettings train;
  OptimSettings optim_g;
  GeneratorLossSettings losses;
  /// From this iteration on states are the chain's own instead of diffused photographs; never where negative. A small net leaves noise in
  /// x0 that diffused photographs never show it, and that it only learns to remove on the states where it lies.
  int64_t rollout_from = -1;
  double ema_decay = 0.999;
  ValSettings val;                      ///< val_count, val_size, val_photos: the averaged weights are measured on them every train.val_freq
  std::vector<int64_t> snapshots = {};  ///< iterations whose EMA is also kept, as FGR sources of other quality
  void visit(SettingsVisitor& v);
};

/// `total` and its parts, "l_pix" and, where `lpips` (vgg) is given, "l_percep". x0, gt: N x 3 x H x W; the window of LPIPS is drawn from
/// `random`.
struct GeneratorLoss {
  at::Tensor total;
  Metrics parts;
};
GeneratorLoss generator_loss(const at::Tensor& x0, const at::Tensor& gt, const GeneratorLossSettings& settings,
                             const std::optional<Lpips>& lpips, Random& random);
/// What generator_loss needs of it: LPIPS-vgg where it has a weight.
std::optional<Lpips> load_perceptual(const GeneratorLossSettings& settings, at::Device device);

/// Writes checkpoints/generator.safetensors (EMA, fp16) into the run directory.
void train_generator(const GeneratorTrainSettings& settings, const std::filesystem::path& run_directory, bool resume);

/// A batch of training pairs as tensors.
struct PairBatch {
  at::Tensor gt, lr;  ///< N x 3 x gt_size x gt_size, N x 3 x gt_size/scale x ..
};
PairBatch make_pair_batch(const PhotoSet& photos, const PairSettings& settings, uint64_t seed, int64_t iter);

}  // namespace finpercep
