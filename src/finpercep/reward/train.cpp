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
#include "finpercep/image/tensor.h"
#include "finpercep/nets/layout.h"
#include "finpercep/nets/optimise.h"

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

// Leaves out what the settings do not want.
void choose_samples(FgrSet& set, const RewardTrainSettings& settings) {
  if (!settings.fgr_varied) set.keep([](const FgrFacts& facts) { return facts.variation.empty(); });
  for (const std::string& source : settings.fgr_without) {
    const int64_t before = set.size();
    set.keep([&](const FgrFacts& facts) { return !facts.source.starts_with(source); });
    if (set.size() == before)
      throw usage_error(
          fmt::format("fgr_without: expected the start of a source's name, found '{}', of which the set has no sample", source));
  }
}

FgrSet read_sets(const std::vector<std::string>& folders) {
  FgrSet set{std::filesystem::path(folders.at(0))};
  for (std::size_t i = 1; i < folders.size(); ++i) set.add(FgrSet{std::filesystem::path(folders[i])}, folders[i]);
  return set;
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
    means.add({{"val_map", loss.map},
               {"val_corr", loss.correlation},
               {"val_rank", loss.rank},
               {"val_opinion", loss.opinion},
               {"val_order", loss.order}});
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
  v.field("val_count", val_count, "samples of val_fgr_dirs; 0 takes all", {.min = 0, .max = 1e9});
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

void train_reward(const RewardTrainSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  std::unique_ptr<RewardModel> start;
  if (!settings.pretrain_network_r.empty()) start = load_reward(settings.pretrain_network_r, compute.device);
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
  check_sample_settings(settings.samples);
  if (static_cast<int64_t>(settings.stage_iters.size()) != stages)
    throw usage_error(fmt::format("stage_iters: expected {} numbers for stages {} to {}, found {}", stages, first_stage,
                                  settings.network.stage, settings.stage_iters.size()));
  const auto seed = static_cast<uint64_t>(settings.manual_seed);
  std::optional<FgrSet> set;
  if (!settings.fgr_dirs.empty()) choose_samples(set.emplace(read_sets(settings.fgr_dirs)), settings);
  std::optional<FgrSet> held_out;
  if (!settings.val_fgr_dirs.empty()) held_out.emplace(read_sets(settings.val_fgr_dirs));
  RunDir run(run_directory, to_yaml(settings), resume);
  if (!set) choose_samples(set.emplace(settings.fgr), settings);  // takes minutes: not before the folder is known to be free
  if (held_out) set->expect_same_labels(*held_out, settings.val_fgr_dirs[0]);
  log_info(fmt::format("fgr: {} samples, label scale {:.4f}", set->size(), set->label().scale));
  const RewardFacts facts{set->label().alpha, set->label().scale, set->label().features};
  const std::map<std::string, std::string> notes = {{"training", to_yaml(settings)}};

  const auto fresh_model = [&](int64_t stage) {
    RewardSettings network = start ? start->settings : settings.network;
    network.stage = stage;
    auto model = std::make_unique<RewardModel>(network, seed);
    if (stage == 0 && !start) model->load_pretrained_encoder();
    model->params.to(compute.device, at::kFloat);
    channels_last(model->params);
    if (start) blend_shared(*start, *model, 1);
    return model;
  };
  Trainee trainee = make_trainee(fresh_model(first_stage), settings);
  std::unique_ptr<RewardModel> base;  // frozen RM_0, once it is trained
  if (first_stage > 0) base = fresh_model(0);

  LoopSettings loop;
  loop.total_iter = std::accumulate(settings.stage_iters.begin(), settings.stage_iters.end(), int64_t{0});
  loop.print_freq = settings.print_freq;
  loop.save_checkpoint_freq = settings.save_checkpoint_freq;
  loop.val_freq = settings.save_checkpoint_freq;  // the averaged weights are written as often as the state

  const FgrSampler sampler(*set, settings.samples, seed);
  const int64_t base_iters = settings.stage_iters[0];
  const int workers = static_cast<int>(settings.num_worker);
  std::unique_ptr<OpinionSet> opinions;
  std::unique_ptr<Prefetcher<OpinionSet::Batch>> opinion_batches;
  std::unique_ptr<Prefetcher<FgrBatch>> batches;
  const auto averaged = [&] {
    auto average = std::make_unique<RewardModel>(trainee.model->settings);
    average->params.to(compute.device, at::kFloat);
    copy_values(trainee.ema, average->params.all());
    if (start) blend_shared(*start, *average, settings.pretrain_share);
    return average;
  };
  const auto stage_file = [&] { return run.checkpoint(fmt::format("reward-stage-{}", trainee.model->settings.stage)); };

  LoopParts parts;
  parts.compute = compute;
  parts.step = [&](int64_t iter) -> Metrics {
    const int64_t stage = first_stage + stage_of(settings.stage_iters, iter);
    if (stage > trainee.model->settings.stage) {
      save_reward(stage_file(), *averaged(), facts, notes);
      copy_values(trainee.ema, trainee.model->params.all());
      if (stage == 1) {
        base = fresh_model(0);
        copy_values(trainee.ema, base->params.all());
      }
      log_info(fmt::format("growing RM_{} -> RM_{}", stage - 1, stage));
      run.log_metrics(iter + 1, {{"switch_from", static_cast<double>(stage - 1)}, {"switch_to", static_cast<double>(stage)}});
      trainee = make_trainee(grow(*trainee.model, seed + static_cast<uint64_t>(stage)), settings);
    }
    RewardLoss loss;
    if (stage == 0) {
      if (!opinions) {
        opinions = std::make_unique<OpinionSet>(*set, settings.opinions, seed, compute.device);
        opinion_batches = std::make_unique<Prefetcher<OpinionSet::Batch>>(
            iter, base_iters, workers, std::max(3, workers), [&](int64_t i) { return opinions->batch(settings.batch_size, i); });
      }
      const OpinionSet::Batch batch = *opinion_batches->next();
      const MixedPrecision precision(compute.device, compute.dtype);
      loss = base_loss(*trainee.model, batch.gt.to(compute.device), batch.picture.to(compute.device), batch.opinion.to(compute.device),
                       settings.losses);
    } else {
      if (!batches) {
        opinion_batches.reset();
        opinions.reset();
        batches = std::make_unique<Prefetcher<FgrBatch>>(iter, loop.total_iter, workers, std::max(3, workers),
                                                         [&](int64_t i) { return sampler.batch(settings.batch_size, i); });
      }
      FgrBatch batch = batches->next()->to(compute.device);
      const MixedPrecision precision(compute.device, compute.dtype);
      at::Tensor base_score;
      {
        at::NoGradGuard no_grad;
        base_score = base->judge(batch.gt, 0).score;
      }
      take_colours({&batch.gt, &batch.sr, &batch.syn}, settings.gray_prob, Random(seed, "gray", static_cast<uint64_t>(iter)));
      loss = reward_loss(*trainee.model, batch, base_score, stage, settings.losses);
    }
    loss.total.backward();
    const double lr = scheduled_lr(settings.optim, iter, loop.total_iter);
    const StepReport rest = trainee.rest->step(lr), encoder = trainee.encoder->step(lr * settings.encoder_lr_ratio);
    update_ema(trainee.ema, trainee.model->params.all(), settings.ema_decay);
    return {{"l_total", loss.total.item<double>()},
            {"l_map", loss.map},
            {"l_corr", loss.correlation},
            {"l_rank", loss.rank},
            {"l_align", loss.align},
            {"l_opinion", loss.opinion},
            {"order", loss.order},
            {"stage", static_cast<double>(stage)},
            {"grad_norm", rest.grad_norm},
            {"skipped", rest.skipped || encoder.skipped}};
  };
  parts.save = [&](TensorFile& state) {
    state.metadata["stage"] = fmt::format("{}", trainee.model->settings.stage);
    put(state, trainee.model->params.named(), at::kFloat, "net.");
    put(state, trainee.model->params.named_as(trainee.ema), at::kFloat, "ema.");
    if (base) put(state, base->params.named(), at::kFloat, "base.");
    trainee.encoder->save(state, "adam.encoder.");
    trainee.rest->save(state, "adam.rest.");
  };
  parts.restore = [&](const TensorFile& state, const std::string& where) {
    const auto stage = metadata_number<int64_t>(state, "stage", where);
    trainee = make_trainee(fresh_model(stage), settings);
    load(trainee.model->params, state, where, "net.");
    load(trainee.model->params.named_as(trainee.ema), state, where, "ema.");
    trainee.encoder->restore(state, "adam.encoder.", where);
    trainee.rest->restore(state, "adam.rest.", where);
    if (stage > 0) {
      base = fresh_model(0);
      load(base->params, state, where, "base.");
    }
  };
  parts.validate = [&](int64_t iter) {
    const auto average = averaged();
    save_reward(stage_file(), *average, facts, notes);
    save_reward(run.checkpoint("reward"), *average, facts, notes);
    if (!held_out) return;
    log_held_out(run, iter, measure(*average, base.get(), *held_out, settings, compute));
  };
  run_loop(run, loop, resume, parts);
}

}  // namespace finpercep
