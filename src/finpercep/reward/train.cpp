// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/fgr/inputs.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/layout.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/reward/train_sets.h"

namespace finpercep {

namespace {

// What is being trained; replaced as a whole when a stage grows.
struct Trainee {
  std::unique_ptr<RewardModel> model;
  std::vector<at::Tensor> ema;
  std::unique_ptr<AdamW> encoder, rest;
};

Trainee make_trainee(std::unique_ptr<RewardModel> model, const RewardTrainSettings& settings) {
  Trainee t;
  t.model = std::move(model);
  std::vector<at::Tensor> encoder, rest;
  for (const auto& [name, tensor] : t.model->params.named()) {
    const bool sees = name.starts_with("encoder."),
               frozen = sees && (settings.encoder_lr_ratio == 0 || RewardEncoder::in_first_blocks(name, settings.frozen_blocks));
    tensor.set_requires_grad(!frozen);
    if (!frozen) (sees ? encoder : rest).push_back(tensor);
  }
  t.encoder = std::make_unique<AdamW>(encoder, settings.optim);
  t.rest = std::make_unique<AdamW>(rest, settings.optim);
  t.ema = clone_values(t.model->params.all());
  return t;
}

// The losses on parts of samples as they are, neither zoomed nor varied; the same parts at every call, whatever the run's seed.
Metrics measure(const RewardModel& model, const RewardModel* base, const FgrSet& set, const RewardTrainSettings& settings,
                const Compute& compute) {
  at::NoGradGuard no_grad;
  SampleSettings plain = settings.samples;
  plain.zoom = {1, 1};
  plain.colour_prob = plain.variation.prob = 0;
  const FgrSampler sampler(set, plain, 0);
  const int64_t count = settings.val_count == 0 ? set.size() : std::min(settings.val_count, set.size());
  Means means;
  for (int64_t i = 0; i < std::max<int64_t>(1, count / settings.batch_size); ++i) {
    const FgrBatch batch = sampler.batch(settings.batch_size, i).to(compute.device);
    const MixedPrecision precision(compute.device, compute.dtype);
    const RewardLoss loss =
        reward_loss(model, batch, (base ? *base : model).judge(batch.gt, 0).score, model.settings.stage, settings.losses);
    means.add({{"map", loss.map}, {"corr", loss.correlation}, {"rank", loss.rank}, {"opinion", loss.opinion}, {"order", loss.order}});
  }
  return means.means();
}

int64_t stage_of(const std::vector<int64_t>& iters, int64_t iter) {
  int64_t stage = 0;
  while (stage + 1 < static_cast<int64_t>(iters.size()) && iter >= iters[stage]) iter -= iters[stage++];
  return stage;
}

}  // namespace

void RewardTrainSettings::visit(SettingsVisitor& v) {
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 (mixed precision) or auto");
  v.field("fgr_dirs", fgr_dirs,
          "folders of shards written by `finpercep fgr build`, taken together; none makes the samples of `fgr` in memory");
  v.field("fgr_varied", fgr_varied, "train on the samples whose clean photograph was softened, grained, JPEG-ed or rescaled as well");
  v.field("fgr_without", fgr_without,
          "sources left out, by the start of their names, say realesrgan: tests what is learnt of a family from the others");
  v.field("val_fgr_dirs", val_fgr_dirs,
          "folders of shards of held-out photographs: the saved weights are measured on them, logged as val_*");
  v.field("val_count", val_count, "samples of val_fgr_dirs, in whole batches; 0 takes all", {.min = 0, .max = 1e9});
  v.group("fgr", fgr, "samples made in memory");
  v.group("samples", samples, "how samples are cut and varied for training");
  v.field("gray_prob", gray_prob, "share of the FGR samples whose pictures lose their colours; L_align's base judges the coloured one",
          {.min = 0, .max = 1});
  v.group("opinions", opinions, "RM_0's pictures and teachers");
  v.group("network", network, "FinPercep-RM");
  v.field("pretrain_network_r", pretrain_network_r,
          "reward model to go on from, at its newest stage; empty starts from the pretrained encoder at RM_0");
  v.field("pretrain_share", pretrain_share, "share of pretrain_network_r's weights in the saved ones, so that what it knew is kept",
          {.min = 0, .max = 1});
  v.group("losses", losses, "weights and margins");
  v.field("stage_iters", stage_iters, "iterations of RM_0 (of the newest stage of pretrain_network_r) and of each stage above",
          {.min = 1, .max = 1e9});
  v.field("batch_size", batch_size, "samples an iteration; each is three pictures", {.min = 1, .max = 1024});
  v.field("num_worker", num_worker, "threads that make batches ahead", {.min = 1, .max = 256});
  v.group("optim", optim, "AdamW");
  v.field("encoder_lr_ratio", encoder_lr_ratio, "share of lr for the pretrained encoder; 0 freezes it", {.min = 0, .max = 1});
  v.field("frozen_blocks", frozen_blocks, "stem and this many first blocks of the encoder stay as pretrained", {.min = 0, .max = 100});
  v.field("ema_decay", ema_decay, "decay of the averaged weights that are saved", {.min = 0, .max = 1});
  v.field("print_freq", print_freq, "iterations between log lines", {.min = 1, .max = 1e9});
  v.field("save_checkpoint_freq", save_checkpoint_freq, "iterations between saved states", {.min = 1, .max = 1e9});
}

namespace {

// What can be told before a sample is read.
void check(const RewardTrainSettings& settings, const RewardModel* start) {
  if (!start && settings.pretrain_share > 0) throw usage_error("pretrain_share: expected 0 or a pretrain_network_r, found neither");
  const int64_t first_stage = start ? start->settings.stage : 0, stages = settings.network.stage - first_stage + 1;
  if (stages < 1)
    throw usage_error(fmt::format("network.stage: expected at least {}, that of {}, found {}", first_stage, settings.pretrain_network_r,
                                  settings.network.stage));
  if (start) {
    RewardSettings network = start->settings, untouched;
    network.stage = untouched.stage = settings.network.stage;
    if (to_yaml(settings.network) != to_yaml(untouched) && to_yaml(settings.network) != to_yaml(network))
      throw usage_error(
          fmt::format("network: expected none or that of pretrain_network_r: {}, found another. leave out network, but for "
                      "its stage",
                      settings.pretrain_network_r));
  }
  if (static_cast<int64_t>(settings.stage_iters.size()) != stages)
    throw usage_error(fmt::format("stage_iters: expected {} numbers for stages {} to {}, found {}", stages, first_stage,
                                  settings.network.stage, settings.stage_iters.size()));
}

std::unique_ptr<RewardModel> load_start(const RewardTrainSettings& settings, const Compute& compute) {
  std::unique_ptr<RewardModel> start;
  if (!settings.pretrain_network_r.empty()) start = load_reward(settings.pretrain_network_r, compute.device);
  check(settings, start.get());
  return start;
}

// One training: the sets, the model that grows, and the parts that the loop calls.
class RewardRun {
 public:
  RewardRun(const RewardTrainSettings& settings, const std::filesystem::path& directory, bool resume);
  void train(bool resume);

 private:
  int64_t total() const { return std::accumulate(settings_.stage_iters.begin(), settings_.stage_iters.end(), int64_t{0}); }
  int64_t first_stage() const { return start_ ? start_->settings.stage : 0; }
  int64_t stage() const { return trainee_.model->settings.stage; }
  std::unique_ptr<RewardModel> fresh_model(int64_t stage) const;
  std::unique_ptr<RewardModel> averaged() const;
  void save_stage(const RewardModel& average) const;
  void grow_stage(int64_t done);
  RewardLoss opinion_loss(int64_t iter);
  RewardLoss sample_loss(int64_t iter);
  StepResult step(int64_t iter);
  void save(TensorFile& state) const;
  void restore(const TensorFile& state, const std::string& where);
  void validate(int64_t iter);

  const RewardTrainSettings settings_;
  const uint64_t seed_;
  const Compute compute_;
  const std::unique_ptr<RewardModel> start_;  // pretrain_network_r
  std::optional<FgrSet> set_, held_out_;
  RunDir run_;
  RewardFacts facts_;
  const std::map<std::string, std::string> notes_;
  std::optional<FgrSampler> sampler_;
  Trainee trainee_;
  std::unique_ptr<RewardModel> base_;  // frozen RM_0, once it is trained
  std::unique_ptr<OpinionSet> opinions_;
  std::unique_ptr<Prefetcher<OpinionSet::Batch>> opinion_batches_;
  std::unique_ptr<Prefetcher<FgrBatch>> batches_;
};

RewardRun::RewardRun(const RewardTrainSettings& settings, const std::filesystem::path& directory, bool resume)
    : settings_(settings),
      seed_(static_cast<uint64_t>(settings.manual_seed)),
      compute_(resolve_compute(settings.device, settings.dtype)),
      start_(load_start(settings, compute_)),
      set_(read_chosen(settings)),
      held_out_(read_sets(settings.val_fgr_dirs)),
      run_(directory, to_yaml(settings), resume),
      notes_{{"training", to_yaml(settings)}} {
  Inputs inputs = inputs_of(settings);
  if (!set_) {  // takes minutes: not before the folder is known to be free
    const FgrBuilder builder(settings.fgr);
    inputs.merge(inputs_of(builder));
    run_.use_inputs(inputs);
    choose_samples(set_.emplace(builder), settings);
  } else {
    run_.use_inputs(inputs);
  }
  if (held_out_) {
    set_->expect_same_labels(*held_out_, settings.val_fgr_dirs[0]);
    warn_of_shared_photos(*set_, *held_out_);
  }
  const LabelSettings& label = set_->label();
  log_info(fmt::format("fgr: {} samples, label scale {:.4f}", set_->size(), label.scale));
  facts_ = {label.alpha, label.normalize == "image" ? 0 : label.scale, label.features};
  sampler_.emplace(*set_, settings.samples, seed_);
  trainee_ = make_trainee(fresh_model(first_stage()), settings);
  if (first_stage() > 0) base_ = fresh_model(0);
}

std::unique_ptr<RewardModel> RewardRun::fresh_model(int64_t stage) const {
  RewardSettings network = start_ ? start_->settings : settings_.network;
  network.stage = stage;
  auto model = std::make_unique<RewardModel>(network, seed_);
  if (stage == 0 && !start_) model->load_pretrained_encoder();
  model->params.to(compute_.device, at::kFloat);
  channels_last(model->params);
  if (start_) blend_shared(*start_, *model, 1);
  return model;
}

// What is saved.
std::unique_ptr<RewardModel> RewardRun::averaged() const {
  auto average = std::make_unique<RewardModel>(trainee_.model->settings, std::nullopt);
  average->params.to(compute_.device, at::kFloat);
  copy_values(trainee_.ema, average->params.all());
  if (start_) blend_shared(*start_, *average, settings_.pretrain_share);
  return average;
}

void RewardRun::save_stage(const RewardModel& average) const {
  save_reward(run_.checkpoint(fmt::format("reward-stage-{}", stage())), average, facts_, notes_);
}

// To the next stage, after `done` iterations.
void RewardRun::grow_stage(int64_t done) {
  const int64_t next = stage() + 1;
  save_stage(*averaged());
  copy_values(trainee_.ema, trainee_.model->params.all());
  if (next == 1) {
    base_ = fresh_model(0);
    copy_values(trainee_.ema, base_->params.all());
  }
  log_info(fmt::format("growing RM_{} -> RM_{}", stage(), next));
  run_.log_metrics(done + 1, {{"switch_from", static_cast<double>(stage())}, {"switch_to", static_cast<double>(next)}});
  trainee_ = make_trainee(grow(*trainee_.model, seed_ + static_cast<uint64_t>(next)), settings_);
}

// RM_0, by the teachers' opinions.
RewardLoss RewardRun::opinion_loss(int64_t iter) {
  const int workers = static_cast<int>(settings_.num_worker);
  if (!opinions_) {
    opinions_ = std::make_unique<OpinionSet>(*set_, settings_.opinions, seed_, compute_.device);
    opinion_batches_ =
        std::make_unique<Prefetcher<OpinionSet::Batch>>(iter, settings_.stage_iters[0], workers, std::max(3, workers),
                                                        [this](int64_t i) { return opinions_->batch(settings_.batch_size, i); });
  }
  const OpinionSet::Batch batch = *opinion_batches_->next();
  const MixedPrecision precision(compute_.device, compute_.dtype);
  return base_loss(*trainee_.model, batch.gt.to(compute_.device), batch.picture.to(compute_.device), batch.opinion.to(compute_.device),
                   settings_.losses);
}

// RM_1 and above, by FGR samples.
RewardLoss RewardRun::sample_loss(int64_t iter) {
  const int workers = static_cast<int>(settings_.num_worker);
  if (!batches_) {
    opinion_batches_.reset();
    opinions_.reset();
    batches_ = std::make_unique<Prefetcher<FgrBatch>>(iter, total(), workers, std::max(3, workers),
                                                      [this](int64_t i) { return sampler_->batch(settings_.batch_size, i); });
  }
  FgrBatch batch = batches_->next()->to(compute_.device);
  const MixedPrecision precision(compute_.device, compute_.dtype);
  at::Tensor base_score;
  {
    at::NoGradGuard no_grad;
    base_score = base_->judge(batch.gt, 0).score;
  }
  take_colours({&batch.gt, &batch.sr, &batch.syn}, settings_.gray_prob, Random(seed_, "gray", static_cast<uint64_t>(iter)));
  return reward_loss(*trainee_.model, batch, base_score, stage(), settings_.losses);
}

StepResult RewardRun::step(int64_t iter) {
  if (first_stage() + stage_of(settings_.stage_iters, iter) > stage()) grow_stage(iter);
  const RewardLoss loss = stage() == 0 ? opinion_loss(iter) : sample_loss(iter);
  loss.total.backward();
  const double lr = scheduled_lr(settings_.optim, iter, total());
  const StepReport rest = trainee_.rest->step(lr), encoder = trainee_.encoder->step(lr * settings_.encoder_lr_ratio);
  update_ema(trainee_.ema, trainee_.model->params.all(), settings_.ema_decay);
  const bool skipped = rest.skipped || encoder.skipped;
  return {{{"l_total", loss.total.item<double>()},
           {"l_map", loss.map},
           {"l_corr", loss.correlation},
           {"l_rank", loss.rank},
           {"l_align", loss.align},
           {"l_opinion", loss.opinion},
           {"order", loss.order},
           {"stage", static_cast<double>(stage())},
           {"grad_norm", rest.grad_norm},
           {"skipped", skipped}},
          skipped};
}

void RewardRun::save(TensorFile& state) const {
  state.metadata["stage"] = fmt::format("{}", stage());
  put(state, trainee_.model->params.named(), at::kFloat, "net.");
  put(state, trainee_.model->params.named_as(trainee_.ema), at::kFloat, "ema.");
  if (base_) put(state, base_->params.named(), at::kFloat, "base.");
  trainee_.encoder->save(state, "adam.encoder.");
  trainee_.rest->save(state, "adam.rest.");
}

void RewardRun::restore(const TensorFile& state, const std::string& where) {
  const auto saved_stage = metadata_number<int64_t>(state, "stage", where), done = metadata_number<int64_t>(state, "iter", where);
  const int64_t scheduled = first_stage() + stage_of(settings_.stage_iters, done - 1);
  if (scheduled != saved_stage)
    throw usage_error(
        fmt::format("--resume: {}: expected a state at RM_{}, where stage_iters has iteration {}, found one at RM_{}. resume with the "
                    "run's own stage_iters",
                    where, scheduled, done, saved_stage));
  trainee_ = make_trainee(fresh_model(saved_stage), settings_);
  load(trainee_.model->params, state, where, "net.");
  load(trainee_.model->params.named_as(trainee_.ema), state, where, "ema.");
  trainee_.encoder->restore(state, "adam.encoder.", where);
  trainee_.rest->restore(state, "adam.rest.", where);
  if (saved_stage > 0) {
    base_ = fresh_model(0);
    load(base_->params, state, where, "base.");
  }
}

void RewardRun::validate(int64_t iter) {
  const auto average = averaged();
  save_stage(*average);
  save_reward(run_.checkpoint("reward"), *average, facts_, notes_);
  if (held_out_) log_held_out(run_, iter, measure(*average, base_.get(), *held_out_, settings_, compute_));
}

void RewardRun::train(bool resume) {
  LoopSettings loop;
  loop.total_iter = total();
  loop.print_freq = settings_.print_freq;
  loop.save_checkpoint_freq = settings_.save_checkpoint_freq;
  loop.val_freq = settings_.save_checkpoint_freq;  // the averaged weights are written as often as the state

  LoopParts parts;
  parts.compute = compute_;
  parts.step = [this](int64_t iter) { return step(iter); };
  parts.save = [this](TensorFile& state) { save(state); };
  parts.restore = [this](const TensorFile& state, const std::string& where) { restore(state, where); };
  parts.validate = [this](int64_t iter) { validate(iter); };
  run_loop(run_, loop, resume, parts);
  log_info(fmt::format("reward: {}", run_.checkpoint("reward").string()));
}

}  // namespace

void train_reward(const RewardTrainSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  RewardRun(settings, run_directory, resume).train(resume);
}

}  // namespace finpercep
