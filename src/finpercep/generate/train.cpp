// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/train.h"

#include <fmt/format.h>

#include <algorithm>

#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/layout.h"

namespace finpercep {

void PairSettings::visit(SettingsVisitor& v) {
  v.group("photos", photos, "where the clean photographs are");
  v.group("gt_variation", gt_variation, "photographs that are less than crisp: what the net is to make, and what LR is made from");
  v.group("degradation", degradation, "how LR pictures are made from them");
  v.field("gt_size", gt_size, "side of a training crop, pixels; a multiple of what the net takes", {.min = 32, .max = 2048});
  v.field("batch_size", batch_size, "pictures an iteration", {.min = 1, .max = 1024});
  v.field("num_worker", num_worker, "threads that make pairs ahead", {.min = 1, .max = 256});
}

void GeneratorLossSettings::visit(SettingsVisitor& v) {
  v.choice("pixel", pixel, "l1 (mean absolute difference) or l2 (mean square)", {"l1", "l2"});
  v.field("pixel_weight", pixel_weight, "its weight", {.min = 0, .max = 1e6});
  v.field("perceptual_weight", perceptual_weight, "weight of LPIPS-vgg", {.min = 0, .max = 1e6});
  v.field("perceptual_size", perceptual_size, "side of the window that LPIPS-vgg sees, pixels", {.min = 32, .max = 2048});
}

void GeneratorTrainSettings::visit(SettingsVisitor& v) {
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 (mixed precision) or auto");
  v.field("pretrain_network_g", pretrain_network_g, "model to start from; empty starts from noise");
  v.group("network_g", network_g, "the generator");
  v.group("datasets", datasets, "training pairs");
  v.group("train", train, "the loop");
  v.group("optim_g", optim_g, "AdamW");
  v.group("losses", losses, "what is minimised");
  v.field("rollout_from", rollout_from,
          "from this iteration on the net learns on its own chain's states instead of on diffused photographs; -1: never",
          {.min = -1, .max = 1e9});
  v.field("ema_decay", ema_decay, "decay of the averaged weights that are saved", {.min = 0, .max = 1});
  val.visit(v);
  v.field("snapshots", snapshots, "iterations whose averaged weights are kept as well", {.min = 1, .max = 1e9});
}

PairBatch make_pair_batch(const PhotoSet& photos, const PairSettings& settings, uint64_t seed, int64_t iter) {
  std::vector<Image> gt, lr;
  for (int64_t n = 0; n < settings.batch_size; ++n) {
    TrainingPair pair = make_pair(photos, settings.gt_variation, settings.degradation, static_cast<int>(settings.gt_size), seed,
                                  static_cast<uint64_t>(iter * settings.batch_size + n));
    gt.push_back(std::move(pair.gt));
    lr.push_back(std::move(pair.lr));
  }
  return {to_batch(gt), to_batch(lr)};
}

namespace {

constexpr int64_t flow_times = 1000;  // a flow learns all times, so that it can be sampled in any number of steps

struct State {
  at::Tensor x_t, t;  // N x 3 x H x W, N
};

State diffused_state(const Generator& generator, const at::Tensor& gt, const at::Tensor& y, Random& random) {
  at::Tensor t = at::empty({gt.size(0)}, at::kLong);
  for (int64_t n = 0; n < gt.size(0); ++n) t[n].fill_(random.integer(1, generator.schedule.steps()));
  return {diffuse(generator.schedule, gt, y, normal_tensor(random, gt.sizes(), gt.device()), t), t};
}

State chain_state(const Generator& generator, const at::Tensor& y, Random& random) {
  at::NoGradGuard no_grad;
  const int64_t t = random.integer(1, generator.schedule.steps());  // one for the batch, which rolls out together
  return {generator.roll_out(y, generator.draw_noise(random, y.sizes(), y.device()), t), at::full({y.size(0)}, t, at::kLong)};
}

at::Tensor pixel_difference(const at::Tensor& x0, const at::Tensor& gt, const std::string& kind) {
  return kind == "l2" ? at::mse_loss(x0, gt) : at::l1_loss(x0, gt);
}

at::Tensor perceptual_difference(const Lpips& lpips, const at::Tensor& x0, const at::Tensor& gt, int64_t size, Random& random) {
  const int64_t height = std::min(size, gt.size(2)), width = std::min(size, gt.size(3));
  const int64_t top = random.integer(0, gt.size(2) - height), left = random.integer(0, gt.size(3) - width);
  const auto window = [&](const at::Tensor& x) { return x.narrow(2, top, height).narrow(3, left, width); };
  return lpips(window(x0), window(gt)).mean();
}

}  // namespace

std::optional<Lpips> load_perceptual(const GeneratorLossSettings& settings, at::Device device) {
  if (settings.perceptual_weight == 0) return std::nullopt;
  return Lpips::load("vgg", device);
}

GeneratorLoss generator_loss(const at::Tensor& x0, const at::Tensor& gt, const GeneratorLossSettings& settings,
                             const std::optional<Lpips>& lpips, Random& random) {
  const at::Tensor pixel = pixel_difference(x0, gt, settings.pixel);
  GeneratorLoss loss{settings.pixel_weight * pixel, {{"l_pix", pixel.item<double>()}}};
  if (lpips) {
    const at::Tensor perceptual = perceptual_difference(*lpips, x0, gt, settings.perceptual_size, random);
    loss.total = loss.total + settings.perceptual_weight * perceptual;
    loss.parts.emplace_back("l_percep", perceptual.item<double>());
  }
  return loss;
}

void train_generator(const GeneratorTrainSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  const Compute compute = resolve_compute(settings.device, settings.dtype);
  const PhotoSet photos(settings.datasets.photos, static_cast<int>(settings.datasets.gt_size));
  const auto seed = static_cast<uint64_t>(settings.manual_seed);
  Generator generator(settings.network_g, seed);
  check_scale(generator, settings.datasets.degradation.scale);
  check_side(generator, settings.datasets.gt_size, "datasets.gt_size");
  check(settings.val, generator);
  if (!settings.pretrain_network_g.empty()) {
    TensorFile start;
    put(start, load_generator(settings.pretrain_network_g, at::kCPU)->params.named());
    load(generator.params, start, settings.pretrain_network_g);
  }
  RunDir run(run_directory, to_yaml(settings), resume);
  if (!settings.pretrain_network_g.empty()) run.use_inputs({{"pretrain_network_g", weights_hash(settings.pretrain_network_g)}});

  generator.params.to(compute.device, at::kFloat);
  channels_last(generator.params);
  generator.params.require_grad(true);
  std::vector<at::Tensor> ema = clone_values(generator.params.all());
  AdamW optimiser(generator.params.all(), settings.optim_g);
  const std::optional<Lpips> lpips = load_perceptual(settings.losses, compute.device);
  log_info(fmt::format("generator: {:.2f} M parameters, {} photographs, {} on {}", static_cast<double>(generator.params.count()) / 1e6,
                       photos.size(), c10::toString(compute.dtype), compute.device.str()));

  const std::optional<HeldOut> held_out = make_held_out(settings.val, settings.datasets.photos, settings.datasets.degradation, compute);

  const int workers = static_cast<int>(settings.datasets.num_worker);
  std::unique_ptr<Prefetcher<PairBatch>> batches;
  const auto next_batch = [&](int64_t iter) {
    if (!batches)
      batches = std::make_unique<Prefetcher<PairBatch>>(iter, settings.train.total_iter, workers, std::max(4, workers),
                                                        [&](int64_t i) { return make_pair_batch(photos, settings.datasets, seed, i); });
    return *batches->next();
  };
  const auto facts = [&](int64_t iter) {
    return std::map<std::string, std::string>{{"iterations", fmt::format("{}", iter)}, {"training", to_yaml(settings)}};
  };

  LoopParts parts;
  parts.compute = compute;
  parts.step = [&](int64_t iter) -> StepResult {
    const PairBatch batch = next_batch(iter);
    const at::Tensor gt = batch.gt.to(compute.device), y = generator.condition(batch.lr.to(compute.device));
    Random random(seed, "diffuse", static_cast<uint64_t>(iter));
    const bool rollout = settings.rollout_from >= 0 && iter >= settings.rollout_from;
    generator.schedule =
        chain_of(settings.network_g, settings.network_g.policy == "flow" && !rollout ? flow_times : settings.network_g.steps);
    GeneratorLoss loss;
    {
      const MixedPrecision precision(compute.device, compute.dtype);
      const auto [state, t] = rollout ? chain_state(generator, y, random) : diffused_state(generator, gt, y, random);
      loss = generator_loss(generator.predict_each(state, y, t), gt, settings.losses, lpips, random);
    }
    loss.total.backward();
    const StepReport report = optimiser.step(scheduled_lr(settings.optim_g, iter, settings.train.total_iter));
    // A young average follows fast, so that short runs are not held back by their random start.
    update_ema(ema, generator.params.all(),
               std::min(settings.ema_decay, (1.0 + static_cast<double>(iter)) / (10.0 + static_cast<double>(iter))));
    if (std::ranges::find(settings.snapshots, iter + 1) != settings.snapshots.end())
      save_generator(run.checkpoint(fmt::format("generator-{:08}", iter + 1)), generator, ema, facts(iter + 1));
    loss.parts.insert(loss.parts.end(), {{"grad_norm", report.grad_norm}, {"skipped", report.skipped}});
    return {loss.parts, report.skipped};
  };
  parts.save = [&](TensorFile& state) {
    put(state, generator.params.named(), at::kFloat, "net.");
    put(state, generator.params.named_as(ema), at::kFloat, "ema.");
    optimiser.save(state, "adam.");
  };
  parts.restore = [&](const TensorFile& state, const std::string& where) {
    load(generator.params, state, where, "net.");
    load(generator.params.named_as(ema), state, where, "ema.");
    optimiser.restore(state, "adam.", where);
  };
  parts.validate = [&](int64_t iter) {
    save_generator(run.checkpoint("generator"), generator, ema, facts(iter));
    if (!held_out) return;
    generator.schedule = chain_of(settings.network_g, settings.network_g.steps);
    with_values(generator, ema, [&] { log_held_out(run, iter, held_out->measure(held_out->pictures(generator))); });
  };
  run_loop(run, settings.train, resume, parts);
  log_info(fmt::format("generator: {}", run.checkpoint("generator").string()));
}

}  // namespace finpercep
