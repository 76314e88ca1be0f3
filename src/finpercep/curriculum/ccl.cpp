// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/ccl.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/curriculum/coevolve.h"
#include "finpercep/curriculum/monitor.h"
#include "finpercep/curriculum/sheet.h"
#include "finpercep/curriculum/update.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

constexpr int64_t relabelled_batches = 8;

double value_of(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics)
    if (key == name) return value;
  return 0;
}

int64_t rollbacks(const Players& p) { return std::lround(-std::log2(p.lr_scale)); }

// Takes the share of the pixels that the settings want, measured on the first batches as the reference restores them.
void relabel(Players& p, const LabelFeatures& features, const PhotoSet& photos, const RlSettings& s, at::Device device) {
  at::NoGradGuard no_grad;
  const auto seed = static_cast<uint64_t>(s.manual_seed);
  std::vector<at::Tensor> gt, sr;
  for (int64_t i = 0; i < relabelled_batches; ++i) {
    const PairBatch pair = make_pair_batch(photos, s.datasets, seed, i);
    Random random(seed, "relabel", static_cast<uint64_t>(i));
    gt.push_back(pair.gt.to(device));
    sr.push_back(
        p.reference->roll_out(p.reference->condition(pair.lr.to(device)), p.reference->draw_noise(random, gt.back().sizes(), device))
            .clamp(0, 1));
  }
  p.facts = relabelled(p.facts, s.label_alpha, features, gt, sr);
  log_info(fmt::format("labels: {:g} of the pixels, scale {:.4f}", p.facts.label_alpha, p.facts.label_scale));
}

}  // namespace

Inputs rl_inputs(const RlSettings& settings) {
  return {{"network_g", weights_hash(settings.network_g)}, {"reward", weights_hash(settings.reward)}};
}

void run_rl(const RlSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  Players p;
  p.generator = load_generator(settings.network_g, compute.device);
  p.reference = load_generator(settings.network_g, compute.device);
  if (settings.algorithm == "nft") p.old = load_generator(settings.network_g, compute.device);
  if (settings.pixel_weight > 0) p.lpips = load_perceptual(settings.losses, compute.device);
  p.reward = load_reward(settings.reward, compute.device, &p.facts);
  if (settings.coevolve_freq > 0) p.base = load_reward(settings.reward, compute.device);
  check(settings, *p.generator, p.reward->settings.stage);
  const FixedSchedule schedule{settings.stages, settings.stage_iters};
  StageClock clock(schedule, settings.auto_schedule);
  const bool automatic = settings.schedule == "auto";
  const auto stage_at = [&](int64_t iter) { return automatic ? clock.stage() : schedule.stage_at(iter); };
  const PhotoSet photos(settings.datasets.photos, static_cast<int>(settings.datasets.gt_size));
  const auto seed = static_cast<uint64_t>(settings.manual_seed);
  p.generator->params.require_grad(true);
  if (settings.lora.rank > 0) p.lora.emplace(p.generator->params, settings.lora, seed);
  RunDir run(run_directory, to_yaml(settings), resume);
  run.use_inputs(rl_inputs(settings));
  for (const auto& [name, value] : p.lora ? p.lora->factors() : p.generator->params.named()) p.trained.adopt(name, value);
  p.ema = clone_values(p.trained.all());
  p.generator_optimiser.emplace(p.trained.all(), settings.optim_g);
  p.guard = GradientGuard(settings.guard_ratio);
  std::optional<LabelFeatures> features;
  if (settings.coevolve_freq > 0) {
    p.reward_optimiser.emplace(p.reward->params.all(), settings.optim_r);
    features.emplace(compute.device, p.facts.label_features);
  }
  if (features && settings.label_alpha >= 0 && settings.label_alpha != p.facts.label_alpha)
    relabel(p, *features, photos, settings, compute.device);
  const std::optional<HeldOut> held_out = make_held_out(settings.val, settings.datasets.photos, settings.datasets.degradation, compute);
  const std::vector<Image> before =
      held_out ? held_out->pictures(*p.reference, settings.sample_count) : std::vector<Image>();  // what sheets of samples compare with

  std::optional<Monitor> monitor;
  if (settings.monitor.freq > 0)
    monitor.emplace(settings.val.photos.photos.empty() ? settings.datasets.photos : settings.val.photos, settings.datasets.degradation,
                    settings.monitor, *p.reference, compute);
  p.good = clone_values(p.ema);

  LoopSettings loop;
  loop.total_iter = schedule.total();
  loop.print_freq = settings.print_freq;
  loop.save_checkpoint_freq = settings.save_checkpoint_freq;
  loop.val_freq = settings.val_freq;

  const auto with_average = [&](const auto& work) {  // runs `work` while the generator holds its averaged weights
    const std::vector<at::Tensor> live = clone_values(p.trained.all());
    p.assign(p.ema);
    work();
    p.assign(live);
  };
  const auto measure = [&](int64_t iter) {
    if (!held_out) return;
    with_average([&] {
      const std::vector<Image> now = held_out->pictures(*p.generator);
      log_held_out(run, iter, held_out->measure(now));
      if (before.empty()) return;
      write_image(run.sample(fmt::format("{:08}.png", iter)),
                  sample_sheet(*held_out, before, now, *p.reward, stage_at(std::max<int64_t>(iter - 1, 0))));
    });
  };

  const auto facts = [&](int64_t iter) {
    return std::map<std::string, std::string>{{"iterations", fmt::format("{}", iter)}, {"training", to_yaml(settings)}};
  };
  const auto save = [&](const std::string& name, int64_t iter) {
    std::filesystem::path written;
    with_average([&] { written = save_generator(run.checkpoint(name), *p.generator, p.generator->params.all(), facts(iter)); });
    return written;
  };
  const auto watch = [&](int64_t done, int64_t stage) {
    Vitals vitals;
    with_average([&] { vitals = monitor->look(*p.generator, *p.reward, stage, p.running, settings.signal); });
    Metrics metrics = vitals.metrics();
    MonitorSettings limits = settings.monitor;
    if (settings.reward_weight == 0)
      limits.reward_lost = std::numeric_limits<double>::infinity();  // a control without reward owes it nothing
    const std::string reason = alarm(vitals, limits);
    if (!reason.empty()) metrics.emplace_back("alarm", 1);
    if (reason.empty()) {
      copy_values(p.ema, p.good);
    } else if (settings.monitor.rollback) {
      p.roll_back(settings.optim_g);
      clock.forget();
      log_warning(fmt::format("iteration {}: the monitor's alarm: {}. back to the last good weights, learning rate x {}", done, reason,
                              p.lr_scale));
      metrics.emplace_back("rollback", 1);
    } else {
      log_warning(fmt::format("iteration {}: the monitor's alarm: {}. going on, monitor.rollback is off", done, reason));
    }
    metrics.emplace_back("lr_scale", p.lr_scale);
    run.log_metrics(done, metrics);
    if (rollbacks(p) <= settings.monitor.max_rollbacks) return;
    throw model_error(
        fmt::format("monitor: iteration {}: expected at most {} rollbacks (monitor.max_rollbacks), found one more: {}. the last good "
                    "weights are {}; lower reward_weight or optim_g.lr, or let the reward learn along (coevolve_freq)",
                    done, settings.monitor.max_rollbacks, reason, save("generator-good", done).string()));
  };

  const int workers = static_cast<int>(settings.datasets.num_worker);
  std::unique_ptr<Prefetcher<PairBatch>> pairs;
  const auto next_batch = [&](int64_t index, int64_t stage) {
    if (!pairs)
      pairs = std::make_unique<Prefetcher<PairBatch>>(index, loop.total_iter * settings.accumulate, workers, std::max(4, workers),
                                                      [&](int64_t i) { return make_pair_batch(photos, settings.datasets, seed, i); });
    const PairBatch pair = *pairs->next();
    Random random(seed, "rl", static_cast<uint64_t>(index));
    RlBatch batch;
    batch.gt = pair.gt.to(compute.device);
    batch.y = p.generator->condition(pair.lr.to(compute.device));
    batch.stage = stage;
    batch.index = static_cast<uint64_t>(index);
    batch.t = settings.refl_steps[random.integer(0, static_cast<int64_t>(settings.refl_steps.size()) - 1)];
    batch.noise = p.generator->draw_noise(random, batch.gt.sizes(), compute.device);
    batch.pretrain_t = at::empty({batch.gt.size(0)}, at::kLong);
    for (int64_t n = 0; n < batch.gt.size(0); ++n) batch.pretrain_t[n].fill_(random.integer(1, p.generator->schedule.steps()));
    batch.pretrain_noise = normal_tensor(random, batch.gt.sizes(), compute.device);
    return batch;
  };

  LoopParts parts;
  parts.compute = compute;
  parts.step = [&](int64_t iter) -> Metrics {
    if (iter == 0) measure(0);
    const int64_t stage = stage_at(iter);
    std::vector<RlBatch> batches;
    for (int64_t a = 0; a < settings.accumulate; ++a) batches.push_back(next_batch(iter * settings.accumulate + a, stage));
    UpdateReport report =
        improve_generator(p, batches, settings, compute, p.lr_scale * scheduled_lr(settings.optim_g, iter, loop.total_iter));
    if (iter == 0 && !report.sr.isfinite().all().item<bool>())
      throw model_error(fmt::format("network_g: {}: expected pictures of finite numbers, its first ones hold NaN", settings.network_g));
    Metrics metrics = std::move(report.metrics);
    if (features && iter % settings.coevolve_freq == 0) {
      const Metrics reward = improve_reward(p, *features, batches.back(), report.sr, settings, compute, static_cast<uint64_t>(iter),
                                            scheduled_lr(settings.optim_r, iter, loop.total_iter));
      metrics.insert(metrics.end(), reward.begin(), reward.end());
    }
    if (report.guarded)
      log_warning(
          fmt::format("iteration {}: update skipped, its gradient was more than {} times the usual", iter + 1, settings.guard_ratio));
    metrics.insert(metrics.end(), {{"guarded", report.guarded}, {"skipped", report.skipped}});
    const bool last = iter + 1 == loop.total_iter;
    Switch reason = !last && stage_at(iter + 1) != stage ? Switch::limit : Switch::stay;
    if (automatic)
      reason = clock.advance(
          {value_of(metrics, "reward") - value_of(metrics, "reward_gt"), value_of(metrics, "group_std"), value_of(metrics, "grad_norm")});
    if (reason != Switch::stay) {
      const int64_t next = stage_at(iter + 1);
      log_info(
          fmt::format("iteration {}: from RM_{} to RM_{}{}", iter + 1, stage, next, automatic ? fmt::format(": {}", name_of(reason)) : ""));
      run.log_metrics(iter + 1, {{"switch_from", static_cast<double>(stage)},
                                 {"switch_to", static_cast<double>(next)},
                                 {"switch_reason", static_cast<double>(reason)}});
    }
    if (std::ranges::find(settings.snapshots, iter + 1) != settings.snapshots.end())
      save(fmt::format("generator-{:08}", iter + 1), iter + 1);
    // What is saved at the end has been looked at.
    if (monitor && ((iter + 1) % settings.monitor.freq == 0 || last)) watch(iter + 1, stage);
    return metrics;
  };
  parts.save = [&](TensorFile& state) {
    p.save(state);
    if (automatic) state.tensors["clock"] = to_data(at::tensor(clock.state(), at::kDouble));
  };
  parts.restore = [&](const TensorFile& state, const std::string& where) {
    p.restore(state, where);
    if (!automatic) return;
    const at::Tensor told = stored(state, "clock", where);
    clock.restore({told.data_ptr<double>(), told.data_ptr<double>() + told.numel()});
  };
  parts.validate = [&](int64_t iter) {
    measure(iter);
    if (iter != loop.total_iter) return;
    save("generator", iter);
    save_reward(run.checkpoint("reward"), *p.reward, p.facts, facts(iter));
    log_info(fmt::format("generator and reward: {}", run.checkpoint("generator").parent_path().string()));
    if (p.lr_scale < 1)
      log_warning(fmt::format("the monitor took the run back {} times, to a learning rate x {:.3g}: most of it may have been undone",
                              rollbacks(p), p.lr_scale));
    if (automatic) {
      const FixedSchedule fixed = clock.as_fixed(loop.total_iter);
      log_info(fmt::format("the same without deciding again: --set schedule=fixed 'stages=[{}]' 'stage_iters=[{}]'",
                           fmt::join(fixed.stages, ","), fmt::join(fixed.iters, ",")));
    }
  };
  run_loop(run, loop, resume, parts);
}

}  // namespace finpercep
