// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/ccl.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/curriculum/coevolve.h"
#include "finpercep/curriculum/monitor.h"
#include "finpercep/curriculum/sheet.h"
#include "finpercep/curriculum/update.h"
#include "finpercep/generate/torchscript.h"
#include "finpercep/image/io.h"
#include "finpercep/image/tensor.h"
#include "finpercep/rl/reward_signal.h"

namespace finpercep {

namespace {

constexpr int64_t relabelled_batches = 8;

// One run: the players, what looks on, and the parts that the training loop calls.
class RlRun {
 public:
  RlRun(const RlSettings& settings, const std::filesystem::path& directory, bool resume);
  void train(bool resume);

 private:
  bool automatic() const { return settings_.schedule == "auto"; }
  void relabel();
  struct Restored {
    at::Tensor gt, sr;
  };
  Restored first_pictures(int64_t i) const;
  void expect_pictures();
  RlBatch next_batch(int64_t index);
  StepResult step(int64_t iter);
  void move_stage(int64_t done, const Learning& learning);
  void watch(int64_t done);
  void with_average(const std::function<void()>& work);
  void measure(int64_t iter);
  std::filesystem::path save_average(const std::string& name, int64_t iter);
  void finish(int64_t iter);

  const RlSettings settings_;
  const uint64_t seed_;
  const Compute compute_;
  Players players_;
  const FixedSchedule schedule_;
  StageClock clock_;
  int64_t stage_;  // of the present iteration, or the last
  const PhotoSet photos_;
  RunDir run_;
  std::optional<LabelFeatures> features_;  // co-evolution only
  std::optional<HeldOut> held_out_;
  std::vector<Image> before_;  // what sheets of samples compare with
  std::optional<Monitor> monitor_;
  std::unique_ptr<Prefetcher<PairBatch>> pairs_;
};

RlRun::RlRun(const RlSettings& settings, const std::filesystem::path& directory, bool resume)
    : settings_(settings),
      seed_(static_cast<uint64_t>(settings.manual_seed)),
      compute_(resolve_compute(settings.device, settings.dtype)),
      players_(gather_players(settings, compute_)),
      schedule_{settings.stages, settings.stage_iters},
      clock_(schedule_, automatic() ? std::optional(settings.auto_schedule) : std::nullopt),
      stage_(clock_.stage()),
      photos_(settings.datasets.photos, static_cast<int>(settings.datasets.gt_size)),
      run_(directory, to_yaml(settings), resume) {
  run_.use_inputs(rl_inputs(settings));
  const DegradeSettings& degradation = settings.datasets.degradation;
  if (settings.coevolve_freq > 0) {
    expect_label_scale(players_.facts, settings.reward);
    features_.emplace(compute_.device, players_.facts.label_features);
  }
  if (features_ && settings.label_alpha >= 0 && settings.label_alpha != players_.facts.label_alpha) relabel();
  held_out_ = make_held_out(settings.val, settings.datasets.photos, degradation, compute_);
  if (held_out_) before_ = held_out_->pictures(*players_.reference, settings.sample_count);
  const PhotoSettings& watched = settings.val.photos.photos.empty() ? settings.datasets.photos : settings.val.photos;
  if (settings.monitor.freq > 0) monitor_.emplace(watched, degradation, settings.monitor, *players_.reference, compute_);
}

// Batch `i` as the reference restores it.
RlRun::Restored RlRun::first_pictures(int64_t i) const {
  at::NoGradGuard no_grad;
  const Generator& reference = *players_.reference;
  const PairBatch pair = make_pair_batch(photos_, settings_.datasets, seed_, i);
  Random random(seed_, "relabel", static_cast<uint64_t>(i));
  const at::Tensor gt = pair.gt.to(compute_.device), y = reference.condition(pair.lr.to(compute_.device));
  reference.seed_module(Random(seed_, "module", static_cast<uint64_t>(i)).bits());
  return {gt, reference.roll_out(y, reference.draw_noise(random, gt.sizes(), compute_.device))};
}

// Takes the share of the pixels that the settings want, measured on the first batches as the reference restores them.
void RlRun::relabel() {
  std::vector<at::Tensor> gt, sr;
  for (int64_t i = 0; i < relabelled_batches; ++i) {
    const Restored pictures = first_pictures(i);
    gt.push_back(pictures.gt);
    sr.push_back(as_file(pictures.sr));
  }
  players_.facts = relabelled(players_.facts, settings_.label_alpha, *features_, gt, sr);
  log_info(fmt::format("labels: {:g} of the pixels' difference and {:g} of the features', scale {:.4f}", players_.facts.label_alpha,
                       1 - players_.facts.label_alpha, players_.facts.label_scale));
}

// Before anything is learnt from them.
void RlRun::expect_pictures() {
  const at::Tensor made = first_pictures(0).sr;
  if (!made.isfinite().all().item<bool>())
    throw model_error(fmt::format("network_g: {}: expected pictures of finite numbers, its first ones hold NaN", settings_.network_g));
  if (players_.generator->script && far_outside(made))
    throw model_error(fmt::format("network_g: {}: {}", settings_.network_g, wrong_range));
}

RlBatch RlRun::next_batch(int64_t index) {
  const int workers = static_cast<int>(settings_.datasets.num_worker);
  if (!pairs_)  // here, because a resumed run begins later
    pairs_ = std::make_unique<Prefetcher<PairBatch>>(index, schedule_.total() * settings_.accumulate, workers, std::max(4, workers),
                                                     [this](int64_t i) { return make_pair_batch(photos_, settings_.datasets, seed_, i); });
  const Generator& generator = *players_.generator;
  const PairBatch pair = *pairs_->next();
  Random random(seed_, "rl", static_cast<uint64_t>(index));
  RlBatch batch;
  batch.gt = pair.gt.to(compute_.device);
  batch.y = generator.condition(pair.lr.to(compute_.device));
  batch.stage = stage_;
  batch.index = static_cast<uint64_t>(index);
  batch.t = settings_.refl_steps[random.integer(0, static_cast<int64_t>(settings_.refl_steps.size()) - 1)];
  batch.noise = generator.draw_noise(random, batch.gt.sizes(), compute_.device);
  batch.pretrain_t = at::empty({batch.gt.size(0)}, at::kLong);
  for (int64_t n = 0; n < batch.gt.size(0); ++n) batch.pretrain_t[n].fill_(random.integer(1, generator.schedule.steps()));
  batch.pretrain_noise = normal_tensor(random, batch.gt.sizes(), compute_.device);
  return batch;
}

StepResult RlRun::step(int64_t iter) {
  if (iter == 0) {
    expect_pictures();
    measure(0);
  }
  stage_ = clock_.stage();
  const int64_t total = schedule_.total();
  std::vector<RlBatch> batches;
  for (int64_t a = 0; a < settings_.accumulate; ++a) batches.push_back(next_batch(iter * settings_.accumulate + a));
  UpdateReport report =
      improve_generator(players_, batches, settings_, compute_, players_.lr_scale() * scheduled_lr(settings_.optim_g, iter, total));
  StepResult result{std::move(report.metrics), report.skipped};
  if (features_ && iter % settings_.coevolve_freq == 0) {
    const StepResult reward = improve_reward(players_, *features_, batches.back(), report.sr, settings_, compute_,
                                             static_cast<uint64_t>(iter), scheduled_lr(settings_.optim_r, iter, total));
    result.metrics.insert(result.metrics.end(), reward.metrics.begin(), reward.metrics.end());
    result.skipped |= reward.skipped;
  }
  if (report.guarded)
    log_warning(
        fmt::format("iteration {}: update skipped, its gradient was more than {} times the usual", iter + 1, settings_.guard_ratio));
  result.metrics.insert(result.metrics.end(), {{"guarded", report.guarded}, {"skipped", report.skipped}});
  move_stage(iter + 1, report.learning);
  // What is saved at the end has been looked at, and a snapshot where both fall on one iteration.
  if (monitor_ && ((iter + 1) % settings_.monitor.freq == 0 || iter + 1 == total)) watch(iter + 1);
  if (std::ranges::find(settings_.snapshots, iter + 1) != settings_.snapshots.end())
    save_average(fmt::format("generator-{:08}", iter + 1), iter + 1);
  return result;
}

// After `done` iterations on to the next stage where the clock says so.
void RlRun::move_stage(int64_t done, const Learning& learning) {
  const Switch reason = clock_.advance(learning);
  if (reason == Switch::stay) return;
  const int64_t next = clock_.stage();
  log_info(fmt::format("iteration {}: from RM_{} to RM_{}{}", done, stage_, next, automatic() ? fmt::format(": {}", name_of(reason)) : ""));
  run_.log_metrics(done, {{"switch_from", static_cast<double>(stage_)},
                          {"switch_to", static_cast<double>(next)},
                          {"switch_reason", static_cast<double>(reason)}});
}

void RlRun::watch(int64_t done) {
  Vitals vitals;
  with_average([&] { vitals = monitor_->look(*players_.generator, *players_.reward, stage_, players_.running, settings_.signal); });
  Metrics metrics = vitals.metrics();
  MonitorSettings limits = settings_.monitor;
  if (settings_.reward_weight == 0)
    limits.reward_lost = std::numeric_limits<double>::infinity();  // a control without reward owes it nothing
  const std::string reason = alarm(vitals, limits);
  if (!reason.empty()) metrics.emplace_back("alarm", 1);
  if (reason.empty()) {
    copy_values(players_.ema, players_.good);
  } else if (settings_.monitor.rollback) {
    players_.roll_back(settings_.optim_g);
    clock_.forget();
    log_warning(fmt::format("iteration {}: the monitor's alarm: {}. back to the last good weights, learning rate x {}", done, reason,
                            players_.lr_scale()));
    metrics.emplace_back("rollback", 1);
  } else {
    log_warning(fmt::format("iteration {}: the monitor's alarm: {}. going on, monitor.rollback is off", done, reason));
  }
  metrics.emplace_back("lr_scale", players_.lr_scale());
  run_.log_metrics(done, metrics);
  if (players_.rollbacks <= settings_.monitor.max_rollbacks) return;
  throw model_error(
      fmt::format("monitor: iteration {}: expected at most {} rollbacks (monitor.max_rollbacks), found one more: {}. the last good "
                  "weights are {}; lower reward_weight or optim_g.lr, or let the reward learn along (coevolve_freq)",
                  done, settings_.monitor.max_rollbacks, reason, save_average("generator-good", done).string()));
}

// Does `work` while the generator holds its averaged weights.
void RlRun::with_average(const std::function<void()>& work) {
  const std::vector<at::Tensor> live = clone_values(players_.trained.all());
  players_.assign(players_.ema);
  work();
  players_.assign(live);
}

void RlRun::measure(int64_t iter) {
  if (!held_out_) return;
  with_average([&] {
    const std::vector<Image> now = held_out_->pictures(*players_.generator);
    log_held_out(run_, iter, held_out_->measure(now));
    if (before_.empty()) return;
    write_image(run_.sample(fmt::format("{:08}.png", iter)), sample_sheet(*held_out_, before_, now, *players_.reward, stage_));
  });
}

std::map<std::string, std::string> facts_after(int64_t iter, const RlSettings& settings) {
  return {{"iterations", fmt::format("{}", iter)}, {"training", to_yaml(settings)}};
}

std::filesystem::path RlRun::save_average(const std::string& name, int64_t iter) {
  std::filesystem::path written;
  with_average([&] {
    const Generator& generator = *players_.generator;
    written = save_generator(run_.checkpoint(name), generator, generator.params.all(), facts_after(iter, settings_));
  });
  return written;
}

void RlRun::finish(int64_t iter) {
  save_average("generator", iter);
  save_reward(run_.checkpoint("reward"), *players_.reward, players_.facts, facts_after(iter, settings_));
  log_info(fmt::format("generator and reward: {}", run_.checkpoint("generator").parent_path().string()));
  if (players_.rollbacks > 0)
    log_warning(fmt::format("the monitor took the run back {} times, to a learning rate x {:.3g}: most of it may have been undone",
                            players_.rollbacks, players_.lr_scale()));
  if (!automatic()) return;
  const FixedSchedule fixed = clock_.as_fixed(iter);
  log_info(fmt::format("the same without deciding again: --set schedule=fixed 'stages=[{}]' 'stage_iters=[{}]'",
                       fmt::join(fixed.stages, ","), fmt::join(fixed.iters, ",")));
}

void RlRun::train(bool resume) {
  LoopSettings loop;
  loop.total_iter = schedule_.total();
  loop.print_freq = settings_.print_freq;
  loop.save_checkpoint_freq = settings_.save_checkpoint_freq;
  loop.val_freq = settings_.val_freq;

  LoopParts parts;
  parts.compute = compute_;
  parts.step = [this](int64_t iter) { return step(iter); };
  parts.save = [this](TensorFile& state) {
    players_.save(state);
    state.tensors["clock"] = to_data(at::tensor(clock_.state(), at::kDouble));
  };
  parts.restore = [this](const TensorFile& state, const std::string& where) {
    players_.restore(state, where);
    const at::Tensor told = stored(state, "clock", where);
    clock_.restore({told.data_ptr<double>(), told.data_ptr<double>() + told.numel()});
  };
  parts.validate = [&](int64_t iter) {
    measure(iter);
    if (iter == loop.total_iter) finish(iter);
  };
  run_loop(run_, loop, resume, parts);
}

}  // namespace

Inputs rl_inputs(const RlSettings& settings) {
  return {{"network_g", weights_hash(settings.network_g)}, {"reward", weights_hash(settings.reward)}};
}

void run_rl(const RlSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  RlRun(settings, run_directory, resume).train(resume);
}

}  // namespace finpercep
