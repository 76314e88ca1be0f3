// SPDX-License-Identifier: Apache-2.0
// Supervised training of a generator: predict x0 from a random step of the chain.
#pragma once
#include <filesystem>
#include <string>

#include "finpercep/base/settings.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/generate/generator.h"
#include "finpercep/nets/train_loop.h"

namespace finpercep {

struct PairSettings {
  PhotoSettings photos;
  DegradeSettings degradation;
  int64_t gt_size = 192;
  int64_t batch_size = 8;
  int64_t num_worker = 1;  ///< threads that make pairs ahead
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
  double ema_decay = 0.999;
  std::vector<int64_t> snapshots = {};  ///< iterations whose EMA is also kept, as FGR sources of other quality
  void visit(SettingsVisitor& v);
};

/// Writes checkpoints/generator.safetensors (EMA, fp16) into the run directory.
void train_generator(const GeneratorTrainSettings& settings, const std::filesystem::path& run_directory, bool resume);

/// A batch of training pairs as tensors.
struct PairBatch {
  at::Tensor gt, lr;  ///< N x 3 x gt_size x gt_size, N x 3 x gt_size/scale x ..
};
PairBatch make_pair_batch(const PhotoSet& photos, const PairSettings& settings, uint64_t seed, int64_t iter);

}  // namespace finpercep
