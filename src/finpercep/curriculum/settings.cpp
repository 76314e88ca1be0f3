// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/settings.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/curriculum/algorithms.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

void DraftSettings::visit(SettingsVisitor& v) {
  v.field("steps", steps, "K, last steps of the chain that the gradient flows through", {.min = 1, .max = 1000});
}

RlSettings::RlSettings() {
  datasets.gt_size = 128;
  datasets.batch_size = 4;
  optim_g.lr = 5e-5;
  optim_r.lr = 1e-4;
  reward_losses.opinion_weight =
      0;  // the score keeps its place by L_align alone: regressed on the label's mean as well, CCL gained 9 % of LPIPS instead of 13
}

void RlSettings::visit(SettingsVisitor& v) {
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 (mixed precision) or auto");
  v.field("network_g", network_g, "the generator to improve: model name or file");
  v.field("reward", reward, "the reward model: name or file");
  v.field("stages", stages, "curriculum: RM_k of each phase; {0} is a global score, {4} no curriculum", {.min = 0, .max = finest_stage});
  v.field("stage_iters", stage_iters, "iterations of each phase; where schedule is auto, the most that it may have",
          {.min = 1, .max = 1e9});
  v.choice(
      "schedule", schedule,
      "fixed: phases as long as stage_iters says; auto: a phase also ends by the rules of auto_schedule, and the last takes what is left",
      {"fixed", "auto"});
  v.group("auto_schedule", auto_schedule, "when a phase ends");
  v.group("datasets", datasets, "training pairs");
  v.group("signal", signal, "R_k");
  v.group("credit", credit, "where in the picture the reward is earned");
  v.choice(
      "algorithm", algorithm,
      "how the generator learns from the reward: by its gradient (refl, draft), by comparing pictures of one input (grpo, awm, nft, dpo)",
      algorithm_names());
  v.field("refl_steps", refl_steps, "the step with gradient is drawn from these", {.min = 1, .max = 1000});
  v.group("draft", draft, "DRaFT-K");
  v.field("group_size", group_size, "grpo, awm, nft, dpo: pictures made of one LR picture", {.min = 2, .max = 1024});
  v.group("policy", policy, "grpo, awm, nft, dpo: how a flow's pictures come to differ");
  v.group("grpo", grpo, "GRPO");
  v.group("awm", awm, "Advantage Weighted Matching");
  v.group("nft", nft, "DiffusionNFT");
  v.group("dpo", dpo, "Diffusion-DPO on its own pictures");
  v.field("reward_weight", reward_weight, "of the algorithm's loss", {.min = 0, .max = 1000});
  v.field("pixel_weight", pixel_weight, "of the generator's own training loss", {.min = 0, .max = 1000});
  v.group("losses", losses, "the generator's own training loss");
  v.choice("pixel_states", pixel_states,
           "where it is taken: at states diffused from the photograph, or at the chain's own that the algorithm learns at (of several "
           "steps the first)",
           {"diffused", "chain"});
  v.field("reference_weight", reference_weight, "of the distance to the frozen reference", {.min = 0, .max = 1000});
  v.field("lr_weight", lr_weight, "of the LR consistency", {.min = 0, .max = 1000});
  v.field("lr_block", lr_block, "pixels of a side that LR consistency averages", {.min = 1, .max = 256});
  v.field("coevolve_freq", coevolve_freq, "iterations for one reward update; 0 keeps the reward frozen", {.min = 0, .max = 1000});
  v.field("label_alpha", label_alpha,
          "share of the pixel difference in the labels that the reward learns from, the rest is of features; -1: as it was trained",
          {.min = -1, .max = 1});
  v.field("coevolve_distort", coevolve_distort,
          "share of the reward's samples that plant a distortion in the photograph in place of the generator's picture: what it is not to "
          "forget",
          {.min = 0, .max = 1});
  v.group("coevolve_variation", coevolve_variation, "clean photographs of its samples that are less than crisp");
  v.group("reward_losses", reward_losses, "of the reward's updates");
  v.group("masks", masks, "regions of the reward's samples");
  v.field("accumulate", accumulate, "batches whose gradients are averaged for one update of the generator", {.min = 1, .max = 1024});
  v.field("guard_ratio", guard_ratio,
          "an update of the generator is left out if its gradient's norm is more than so many times the median of the last 50; 0: never",
          {.min = 0, .max = 1e9});
  v.group("lora", lora, "low-rank adapters, for generators too large to train whole");
  v.group("optim_g", optim_g, "AdamW of the generator");
  v.group("optim_r", optim_r, "AdamW of the reward");
  v.field("ema_decay", ema_decay, "decay of the averaged generator that is saved", {.min = 0, .max = 1});
  v.field("print_freq", print_freq, "iterations between log lines", {.min = 1, .max = 1e9});
  v.field("save_checkpoint_freq", save_checkpoint_freq, "iterations between saved states", {.min = 1, .max = 1e9});
  v.field("val_freq", val_freq, "iterations between held-out measurements; 0: only at the end", {.min = 0, .max = 1e9});
  val.visit(v);
  v.field("sample_count", sample_count,
          "held-out photographs that samples/ITERATION.png shows: LR, before, now, its map, photograph; 0: none", {.min = 0, .max = 64});
  v.field("snapshots", snapshots, "iterations whose averaged generator is kept as well", {.min = 1, .max = 1e9});
  v.group("monitor", monitor, "watch for reward hacking");
}

namespace {

void check_steps(const char* name, const std::vector<int64_t>& steps, int64_t chain_steps) {
  for (int64_t t : steps)
    if (t > chain_steps) throw usage_error(fmt::format("{}: expected at most {} (steps of the chain), found {}", name, chain_steps, t));
}

}  // namespace

void check(const RlSettings& s, const Generator& generator, int64_t finest) {
  const int64_t chain_steps = generator.schedule.steps();
  if (s.stages.size() != s.stage_iters.size() || s.stages.empty())
    throw usage_error(
        fmt::format("stage_iters: expected as many numbers as stages has, {}, found {}", s.stages.size(), s.stage_iters.size()));
  const int64_t total = s.total_iter();
  for (const int64_t snapshot : s.snapshots)
    if (snapshot > total) throw usage_error(fmt::format("snapshots: expected at most {}, the run's length, found {}", total, snapshot));
  for (int64_t stage : s.stages)
    if (stage > finest)
      throw usage_error(fmt::format("stages: expected at most {} (the stage of '{}'), found {}", finest, s.reward, stage));
  if (s.refl_steps.empty()) throw usage_error("refl_steps: expected at least one step, found none");
  if (chain_steps == 1 && s.algorithm != "refl")
    throw usage_error(fmt::format("algorithm: expected refl for '{}', a net of one step, which has no chain to compare, found {}",
                                  s.network_g, s.algorithm));
  if (s.algorithm == "refl") check_steps("refl_steps", s.refl_steps, chain_steps);
  if (s.algorithm == "draft") check_steps("draft.steps", {s.draft.steps}, chain_steps);
  if (s.algorithm == "grpo") check_steps("grpo.steps", s.grpo.steps, chain_steps);
  if (s.algorithm == "awm") check_steps("awm.steps", s.awm.steps, chain_steps);
  if (s.algorithm == "nft") check_steps("nft.steps", s.nft.steps, chain_steps);
  if (s.algorithm == "dpo") check_steps("dpo.steps", s.dpo.steps, chain_steps);
  const auto stochastic = static_cast<int64_t>(s.grpo.steps.empty() ? chain_steps - 1 : static_cast<int64_t>(s.grpo.steps.size()));
  if (s.algorithm == "grpo" && s.grpo.window > stochastic)
    throw usage_error(fmt::format("grpo.window: expected at most {} (steps that are learned from), found {}", stochastic, s.grpo.window));
  if (s.algorithm == "grpo" && generator.schedule.flow && s.policy.flow_sampler == "ode")
    throw usage_error("policy.flow_sampler: expected sde or cps for grpo, found ode, whose steps draw nothing that could be likelier");
  if (s.algorithm == "dpo" && 2 * s.dpo.pairs > s.group_size)
    throw usage_error(fmt::format("dpo.pairs: expected at most {} (half of group_size), found {}", s.group_size / 2, s.dpo.pairs));
  if (s.credit.spatial && s.datasets.gt_size % s.credit.cell != 0)
    throw usage_error(fmt::format("credit.cell: expected a divisor of datasets.gt_size, {}, found {}", s.datasets.gt_size, s.credit.cell));
  if (s.credit.spatial && s.signal.map_weight == 0 && s.algorithm != "refl" && s.algorithm != "draft")
    throw usage_error(
        "credit.spatial: expected signal.map_weight above 0, found 0: a score is of the whole picture and pays no region. set one of the "
        "two");
  check_scale(generator, s.datasets.degradation.scale);
  check_side(generator, s.datasets.gt_size, "datasets.gt_size");
  if (s.monitor.freq > 0) check_side(generator, s.monitor.size, "monitor.size");
  check(s.val, generator);
  if (s.datasets.gt_size % s.lr_block != 0)
    throw usage_error(fmt::format("lr_block: expected a divisor of datasets.gt_size, {}, found {}", s.datasets.gt_size, s.lr_block));
  if (s.masks.semantic_prob > 0 || !s.masks.segments.empty())
    throw usage_error(
        "masks: expected no semantic_prob and no segments, for the generator's own crops have random masks alone. leave them to `fgr "
        "build`");
  if (s.label_alpha < 0 && s.label_alpha != -1)
    throw usage_error(fmt::format("label_alpha: expected 0 to 1, or -1 (as the reward was trained), found {}", s.label_alpha));
  if (s.monitor.size % 32 != 0) throw usage_error(fmt::format("monitor.size: expected a multiple of 32, found {}", s.monitor.size));
  if (s.signal.score_weight == 0 && s.signal.map_weight == 0)
    throw usage_error("signal: expected score_weight or map_weight above 0, found both 0. there is nothing to learn from");
  if (s.signal.score_weight == 0 && std::ranges::find(s.stages, 0) != s.stages.end())
    throw usage_error("stages: expected none that is 0 where signal.score_weight is 0, found one: RM_0 has no map to learn from");
}

}  // namespace finpercep
