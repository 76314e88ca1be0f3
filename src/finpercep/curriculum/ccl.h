// SPDX-License-Identifier: Apache-2.0
// Co-evolutionary curriculum learning: the generator is trained by RL while its reward grows from RM_0 to RM_N, and between updates the
// reward learns from FGR samples of the generator's own outputs. What every algorithm shares is here: curriculum, monitor, held-out
// measurements, resume; one update of the generator is update.h's, of the reward coevolve.h's.
#pragma once
#include <filesystem>

#include "finpercep/base/inputs.h"
#include "finpercep/curriculum/settings.h"

namespace finpercep {

/// Writes checkpoints/generator.safetensors (EMA, fp16) and checkpoints/reward.safetensors into the run directory. metrics.jsonl holds, for
/// every print_freq iterations, the reward and its parts and all losses; every val_freq the held-out PSNR-Y, SSIM-Y and LPIPS-alex, by
/// which nothing is trained.
void run_rl(const RlSettings& settings, const std::filesystem::path& run_directory, bool resume);

/// Hashes of the generator and the reward that a run starts from: what its folder's inputs.json holds.
Inputs rl_inputs(const RlSettings& settings);

}  // namespace finpercep
