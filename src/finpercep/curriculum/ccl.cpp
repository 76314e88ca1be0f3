// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/ccl.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/curriculum/held_out.h"
#include "finpercep/image/tensor.h"
#include "finpercep/rl/refl.h"

namespace finpercep {

namespace {

// What one update of the generator needs beside the generator itself.
struct Step {
  at::Tensor gt, y;               // N x 3 x H x W
  std::vector<at::Tensor> noise;  // of the chain
  int64_t t;                      // the step with gradient
  at::Tensor pretrain_t, pretrain_noise;  // of the generator's own training loss: N, and as gt
  int64_t stage;
};

// Everything that a run trains or holds still.
struct Players {
  std::unique_ptr<Generator> generator, reference;
  std::unique_ptr<RewardModel> reward, base;  // base: the reward as it came, whose RM_0 anchors S on clean photographs
  RewardFacts facts;
  std::vector<at::Tensor> ema;
  std::optional<AdamW> generator_optimiser, reward_optimiser;
  RunningScore running;
};

struct Outcome {
  at::Tensor sr;  // detached, in [0,1]
  Metrics metrics;
  bool skipped;
};

Outcome improve_generator(Players& p, const Step& step, const RlSettings& s, const Compute& compute, double lr) {
  p.reward->params.require_grad(false);
  at::Tensor loss, sr, reward, target, pixel, anchor, consistency;
  Judgement judged;
  {
    const MixedPrecision precision(compute.device, compute.dtype);
    const auto [x_t, x0] = refl_prediction(*p.generator, step.y, step.noise, step.t);
    at::Tensor x0_reference = x0.detach();
    if (s.reference_weight > 0) {
      at::NoGradGuard no_grad;
      x0_reference = p.reference->predict(x_t, step.y, step.t);  // answers for the state that the policy is in
    }
    sr = x0.clamp(0, 1);
    judged = p.reward->judge(sr, step.stage);
    {
      at::NoGradGuard no_grad;
      const Judgement clean = p.reward->judge(step.gt, step.stage);
      p.running.add(judged.score_logit);
      p.running.add(clean.score_logit);
      target = reward_value(clean, p.running, s.signal);
    }
    reward = reward_value(judged, p.running, s.signal);
    // ReFL's pre-training loss: the supervised one, on states diffused from the photograph. On the chain's own states L1 would average detail away.
    pixel = at::zeros({}, x0.options());
    if (s.pixel_weight > 0) {
      const at::Tensor diffused = diffuse(p.generator->schedule, step.gt, step.y, step.pretrain_noise, step.pretrain_t);
      pixel = at::l1_loss(p.generator->predict_each(diffused, step.y, step.pretrain_t), step.gt);
    }
    anchor = reference_anchor(x0, x0_reference);
    consistency = lr_consistency(x0, step.y, s.lr_block);
    loss = s.reward_weight * refl_loss(reward, target) + s.pixel_weight * pixel + s.reference_weight * anchor + s.lr_weight * consistency;
  }
  loss.backward();
  const StepReport report = p.generator_optimiser->step(lr);
  update_ema(p.ema, p.generator->params.all(), s.ema_decay);
  const auto mean = [](const at::Tensor& t) { return t.detach().mean().item<double>(); };
  return {sr.detach(),
          {{"reward", mean(reward)}, {"reward_gt", mean(target)}, {"reward_std", reward.size(0) > 1 ? reward.detach().std().item<double>() : 0.0},
           {"score", mean(judged.score)}, {"map_mean", mean(judged.map)}, {"l_pix", mean(pixel)}, {"l_ref", mean(anchor)}, {"l_lr", mean(consistency)},
           {"grad_norm", report.grad_norm}, {"stage", static_cast<double>(step.stage)}},
          report.skipped};
}

// One update of RM_stage on the generator's own pictures, swapped by region into the clean ones.
Metrics improve_reward(Players& p, const LabelFeatures& features, const Step& step, const at::Tensor& sr, const RlSettings& s, const Compute& compute, uint64_t iter,
                       double lr, bool& skipped) {
  Random random(static_cast<uint64_t>(s.manual_seed), "mask", iter);
  std::vector<Image> masks;
  for (int64_t n = 0; n < sr.size(0); ++n) {
    const std::string& kind = s.masks.kinds[random.integer(0, static_cast<int64_t>(s.masks.kinds.size()) - 1)];
    // One picture in four is swapped whole: the reward must see what the generator is judged by.
    masks.push_back(n % 4 == 0 ? Image(static_cast<int>(sr.size(3)), static_cast<int>(sr.size(2)), 1, 1.0f)
                               : random_mask(kind, static_cast<int>(sr.size(3)), static_cast<int>(sr.size(2)), s.masks, random));
  }
  FgrBatch batch{step.gt, sr.contiguous(), {}, to_batch(masks).to(compute.device), {}};
  batch.syn = compose(batch.gt, batch.sr, batch.mask);
  RewardLoss loss;
  p.reward->params.require_grad(true);
  {
    const MixedPrecision precision(compute.device, compute.dtype);
    at::Tensor base_score;
    {
      at::NoGradGuard no_grad;
      batch.label = normalize_label(raw_difference(features, batch.gt, batch.syn, batch.mask, p.facts.label_alpha), p.facts.label_scale);
      base_score = p.base->judge(batch.gt, 0).score;
    }
    loss = reward_loss(*p.reward, batch, base_score, step.stage, s.reward_losses);
  }
  loss.total.backward();
  skipped = p.reward_optimiser->step(lr).skipped;
  return {{"rm_total", loss.total.item<double>()}, {"rm_map", loss.map}, {"rm_rank", loss.rank}, {"rm_align", loss.align}, {"rm_order", loss.order}};
}

}  // namespace

RlSettings::RlSettings() {
  datasets.gt_size = 128;
  datasets.batch_size = 4;
  optim_g.lr = 5e-5;
  optim_r.lr = 1e-4;
}

void RlSettings::visit(SettingsVisitor& v) {
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 (mixed precision) or auto");
  v.field("network_g", network_g, "the generator to improve: model name or file");
  v.field("reward", reward, "the reward model: name or file");
  v.field("stages", stages, "curriculum: RM_k of each phase; {0} is a global score, {4} no curriculum", {.min = 0, .max = finest_stage});
  v.field("stage_iters", stage_iters, "iterations of each phase", {.min = 1, .max = 1e9});
  v.group("datasets", datasets, "training pairs");
  v.group("signal", signal, "R_k");
  v.field("refl_steps", refl_steps, "the step with gradient is drawn from these", {.min = 1, .max = 1000});
  v.field("reward_weight", reward_weight, "of the ReFL loss", {.min = 0, .max = 1000});
  v.field("pixel_weight", pixel_weight, "of the generator's own training loss: L1 at states diffused from the photograph", {.min = 0, .max = 1000});
  v.field("reference_weight", reference_weight, "of the distance to the frozen reference", {.min = 0, .max = 1000});
  v.field("lr_weight", lr_weight, "of the LR consistency", {.min = 0, .max = 1000});
  v.field("lr_block", lr_block, "pixels of a side that LR consistency averages", {.min = 1, .max = 256});
  v.field("coevolve_freq", coevolve_freq, "generator updates for one reward update; 0 keeps the reward frozen", {.min = 0, .max = 1000});
  v.group("reward_losses", reward_losses, "of the reward's updates");
  v.group("masks", masks, "regions of the reward's samples");
  v.group("optim_g", optim_g, "AdamW of the generator");
  v.group("optim_r", optim_r, "AdamW of the reward");
  v.field("ema_decay", ema_decay, "decay of the averaged generator that is saved", {.min = 0, .max = 1});
  v.field("print_freq", print_freq, "iterations between log lines", {.min = 1, .max = 1e9});
  v.field("save_checkpoint_freq", save_checkpoint_freq, "iterations between saved states", {.min = 1, .max = 1e9});
  v.field("val_freq", val_freq, "iterations between held-out measurements; 0: only at the end", {.min = 0, .max = 1e9});
  v.field("val_count", val_count, "held-out photographs", {.min = 0, .max = 1e6});
  v.field("val_size", val_size, "side of the held-out centre crops, pixels", {.min = 32, .max = 4096});
  v.group("val_photos", val_photos, "held-out photographs; none are measured where this is empty");
}

void run_rl(const RlSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  const FixedSchedule schedule{settings.stages, settings.stage_iters};
  if (schedule.stages.size() != schedule.iters.size() || schedule.stages.empty())
    throw usage_error(fmt::format("stage_iters: expected as many numbers as stages has, {}, found {}", schedule.stages.size(), schedule.iters.size()));
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  const PhotoSet photos(settings.datasets.photos, static_cast<int>(settings.datasets.gt_size));
  RunDir run(run_directory, to_yaml(settings), resume);
  const auto seed = static_cast<uint64_t>(settings.manual_seed);

  Players p;
  p.generator = load_generator(settings.network_g, compute.device);
  p.reference = load_generator(settings.network_g, compute.device);
  p.reward = load_reward(settings.reward, compute.device, &p.facts);
  p.base = load_reward(settings.reward, compute.device);
  for (int64_t stage : schedule.stages)
    if (stage > p.reward->settings.stage)
      throw usage_error(fmt::format("stages: expected at most {} (the stage of '{}'), found {}", p.reward->settings.stage, settings.reward, stage));
  for (int64_t t : settings.refl_steps)
    if (t > p.generator->schedule.steps()) throw usage_error(fmt::format("refl_steps: expected at most {} (steps of the chain), found {}", p.generator->schedule.steps(), t));
  p.generator->params.require_grad(true);
  p.ema = clone_values(p.generator->params.all());
  p.generator_optimiser.emplace(p.generator->params.all(), settings.optim_g);
  p.reward_optimiser.emplace(p.reward->params.all(), settings.optim_r);
  std::optional<LabelFeatures> features;
  if (settings.coevolve_freq > 0) features.emplace(compute.device, p.facts.label_features);
  std::optional<HeldOut> held_out;
  if (!settings.val_photos.photos.empty() && settings.val_count > 0)
    held_out.emplace(settings.val_photos, settings.datasets.degradation, settings.val_count, settings.val_size, compute);

  LoopSettings loop;
  loop.total_iter = schedule.total();
  loop.print_freq = settings.print_freq;
  loop.save_checkpoint_freq = settings.save_checkpoint_freq;
  loop.val_freq = settings.val_freq;

  const auto with_average = [&](const auto& work) {  // runs `work` while the generator holds its averaged weights
    const std::vector<at::Tensor> live = clone_values(p.generator->params.all());
    copy_values(p.ema, p.generator->params.all());
    work();
    copy_values(live, p.generator->params.all());
  };
  const auto measure = [&](int64_t iter) {
    if (held_out) with_average([&] { run.log_metrics(iter, held_out->measure(*p.generator)); });
  };

  std::unique_ptr<Prefetcher<PairBatch>> batches;
  LoopParts parts;
  parts.step = [&](int64_t iter) -> Metrics {
    if (iter == 0) measure(0);
    if (!batches)
      batches = std::make_unique<Prefetcher<PairBatch>>(iter, loop.total_iter, static_cast<int>(settings.datasets.num_worker), 4,
                                                        [&](int64_t i) { return make_pair_batch(photos, settings.datasets, seed, i); });
    const PairBatch batch = *batches->next();
    Random random(seed, "rl", static_cast<uint64_t>(iter));
    Step step{batch.gt.to(compute.device), p.generator->condition(batch.lr.to(compute.device)), {}, 0, {}, {}, schedule.stage_at(iter)};
    step.t = settings.refl_steps[random.integer(0, static_cast<int64_t>(settings.refl_steps.size()) - 1)];
    step.noise = p.generator->draw_noise(random, step.gt.sizes(), compute.device);
    step.pretrain_t = at::empty({step.gt.size(0)}, at::kLong);
    for (int64_t n = 0; n < step.gt.size(0); ++n) step.pretrain_t[n].fill_(random.integer(1, p.generator->schedule.steps()));
    step.pretrain_noise = normal_tensor(random, step.gt.sizes(), compute.device);
    Outcome outcome = improve_generator(p, step, settings, compute, scheduled_lr(settings.optim_g, iter, loop.total_iter));
    bool skipped = false;
    if (features && iter % settings.coevolve_freq == 0) {
      const Metrics reward = improve_reward(p, *features, step, outcome.sr, settings, compute, static_cast<uint64_t>(iter),
                                            scheduled_lr(settings.optim_r, iter, loop.total_iter), skipped);
      outcome.metrics.insert(outcome.metrics.end(), reward.begin(), reward.end());
    }
    outcome.metrics.emplace_back("skipped", outcome.skipped || skipped);
    return outcome.metrics;
  };
  parts.save = [&](TensorFile& state) {
    put(state, p.generator->params.named(), at::kFloat, "net.");
    for (std::size_t i = 0; i < p.ema.size(); ++i) state.tensors["ema." + p.generator->params.named()[i].first] = to_data(p.ema[i]);
    put(state, p.reward->params.named(), at::kFloat, "reward.");
    p.generator_optimiser->save(state, "adam.g.");
    p.reward_optimiser->save(state, "adam.r.");
    state.tensors["running"] = to_data(at::tensor({p.running.mean, p.running.square, p.running.weight}, at::kDouble));
  };
  parts.restore = [&](const TensorFile& state, const std::string& where) {
    load(p.generator->params, state, where, "ema.");
    copy_values(p.generator->params.all(), p.ema);
    load(p.generator->params, state, where, "net.");
    load(p.reward->params, state, where, "reward.");
    p.generator_optimiser->restore(state, "adam.g.", where);
    p.reward_optimiser->restore(state, "adam.r.", where);
    const at::Tensor running = from_data(state.tensors.at("running"));
    p.running = {running[0].item<double>(), running[1].item<double>(), running[2].item<double>()};
  };
  parts.validate = [&](int64_t iter) {
    measure(iter);
    if (iter != loop.total_iter) return;
    const std::map<std::string, std::string> facts = {{"iterations", fmt::format("{}", iter)}, {"training", to_yaml(settings)}};
    save_generator(run.checkpoint("generator"), *p.generator, p.ema, facts);
    save_reward(run.checkpoint("reward"), *p.reward, p.facts, facts);
  };
  run_loop(run, loop, resume, parts);
}

}  // namespace finpercep
