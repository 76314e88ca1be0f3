// SPDX-License-Identifier: Apache-2.0
// Everything that an RL run trains or holds still, and one batch of what it is trained on.
#pragma once
#include <memory>
#include <optional>

#include "finpercep/curriculum/guard.h"
#include "finpercep/curriculum/settings.h"
#include "finpercep/nets/lora.h"

namespace finpercep {

struct Players {
  std::unique_ptr<Generator> generator, reference;
  std::unique_ptr<Generator> old;  ///< NFT only: the policy that makes the pictures, following the generator slowly
  std::optional<Lora> lora;
  std::optional<Lpips> lpips;  ///< of the generator's own training loss
  Params trained{0};           ///< what is optimised, averaged and saved for resume: the adapters, or else the generator's parameters
  std::unique_ptr<RewardModel> reward;
  std::unique_ptr<RewardModel> base;  ///< co-evolution only: the reward as it came, whose RM_0 anchors S on clean photographs
  RewardFacts facts;
  std::vector<at::Tensor> ema;
  std::vector<at::Tensor> good;                                ///< the average when the monitor last found nothing
  int64_t rollbacks = 0;                                       ///< so far, by the monitor's alarms
  std::optional<AdamW> generator_optimiser, reward_optimiser;  ///< the latter: co-evolution only
  GradientGuard guard{0};
  RunningScore running;
  int64_t updates = 0;  ///< of the generator so far

  double lr_scale() const;  ///< of the generator's learning rate, halved by every rollback
  /// `values` into `trained`, and the generator's weights after them.
  void assign(const std::vector<at::Tensor>& values);
  /// Back to the weights that the monitor last found nothing wrong with, and from there on more gently.
  void roll_back(const OptimSettings& optim);
  /// All that changes while a run goes on. model_error where something of it is missing in the state of file `where`.
  void save(TensorFile& state) const;
  void restore(const TensorFile& state, const std::string& where);
};
/// The players at the start of a run, checked against each other (check() of settings.h).
Players gather_players(const RlSettings& settings, const Compute& compute);

/// Pictures of one batch and what was drawn for it.
struct RlBatch {
  at::Tensor gt, y;                       ///< N x 3 x H x W
  std::vector<at::Tensor> noise;          ///< of a chain of each picture
  int64_t t = 1;                          ///< ReFL's step with gradient
  at::Tensor pretrain_t, pretrain_noise;  ///< of the generator's own training loss: N, and as gt
  int64_t stage = 0;
  uint64_t index = 0;  ///< keys further draws
};

}  // namespace finpercep
