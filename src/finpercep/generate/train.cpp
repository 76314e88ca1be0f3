// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

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

namespace {

// The net with the weights to start from; what the settings say is checked against it before a photograph is read.
std::unique_ptr<Generator> starting_generator(const GeneratorTrainSettings& settings) {
  auto generator = std::make_unique<Generator>(settings.network_g, static_cast<uint64_t>(settings.manual_seed));
  check_scale(*generator, settings.datasets.degradation.scale);
  check_side(*generator, settings.datasets.gt_size, "datasets.gt_size");
  check(settings.val, *generator);
  if (!settings.pretrain_network_g.empty()) {
    TensorFile start;
    put(start, load_generator(settings.pretrain_network_g, at::kCPU)->params.named());
    load(generator->params, start, settings.pretrain_network_g);
  }
  return generator;
}

// One training: the net, its photographs, and the parts that the loop calls.
class GeneratorRun {
 public:
  GeneratorRun(const GeneratorTrainSettings& settings, const std::filesystem::path& directory, bool resume);
  void train(bool resume);

 private:
  PairBatch next_batch(int64_t iter);
  StepResult step(int64_t iter);
  void save_average(const std::string& name, int64_t iter) const;
  void validate(int64_t iter);

  const GeneratorTrainSettings settings_;
  const uint64_t seed_;
  const Compute compute_;
  const std::unique_ptr<Generator> generator_;
  const PhotoSet photos_;
  RunDir run_;
  std::vector<at::Tensor> ema_;
  std::optional<AdamW> optimiser_;
  const std::optional<Lpips> lpips_;
  std::optional<HeldOut> held_out_;
  std::unique_ptr<Prefetcher<PairBatch>> batches_;
};

GeneratorRun::GeneratorRun(const GeneratorTrainSettings& settings, const std::filesystem::path& directory, bool resume)
    : settings_(settings),
      seed_(static_cast<uint64_t>(settings.manual_seed)),
      compute_(resolve_compute(settings.device, settings.dtype)),
      generator_(starting_generator(settings)),
      photos_(settings.datasets.photos, static_cast<int>(settings.datasets.gt_size)),
      run_(directory, to_yaml(settings), resume),
      lpips_(load_perceptual(settings.losses, compute_.device)) {
  if (!settings.pretrain_network_g.empty()) run_.use_inputs({{"pretrain_network_g", weights_hash(settings.pretrain_network_g)}});
  generator_->params.to(compute_.device, at::kFloat);
  channels_last(generator_->params);
  generator_->params.require_grad(true);
  ema_ = clone_values(generator_->params.all());
  optimiser_.emplace(generator_->params.all(), settings.optim_g);
  log_info(fmt::format("generator: {:.2f} M parameters, {} photographs, {} on {}", static_cast<double>(generator_->params.count()) / 1e6,
                       photos_.size(), c10::toString(compute_.dtype), compute_.device.str()));
  held_out_ = make_held_out(settings.val, settings.datasets.photos, settings.datasets.degradation, compute_);
}

PairBatch GeneratorRun::next_batch(int64_t iter) {
  const int workers = static_cast<int>(settings_.datasets.num_worker);
  if (!batches_)  // here, because a resumed run begins later
    batches_ = std::make_unique<Prefetcher<PairBatch>>(iter, settings_.train.total_iter, workers, std::max(4, workers), [this](int64_t i) {
      return make_pair_batch(photos_, settings_.datasets, seed_, i);
    });
  return *batches_->next();
}

StepResult GeneratorRun::step(int64_t iter) {
  const PairBatch batch = next_batch(iter);
  const at::Tensor gt = batch.gt.to(compute_.device), y = generator_->condition(batch.lr.to(compute_.device));
  Random random(seed_, "diffuse", static_cast<uint64_t>(iter));
  const bool rollout = settings_.rollout_from >= 0 && iter >= settings_.rollout_from;
  generator_->schedule =
      chain_of(settings_.network_g, settings_.network_g.policy == "flow" && !rollout ? flow_times : settings_.network_g.steps);
  GeneratorLoss loss;
  {
    const MixedPrecision precision(compute_.device, compute_.dtype);
    const auto [state, t] = rollout ? chain_state(*generator_, y, random) : diffused_state(*generator_, gt, y, random);
    loss = generator_loss(generator_->predict_each(state, y, t), gt, settings_.losses, lpips_, random);
  }
  loss.total.backward();
  const StepReport report = optimiser_->step(scheduled_lr(settings_.optim_g, iter, settings_.train.total_iter));
  // A young average follows fast, so that short runs are not held back by their random start.
  update_ema(ema_, generator_->params.all(),
             std::min(settings_.ema_decay, (1.0 + static_cast<double>(iter)) / (10.0 + static_cast<double>(iter))));
  if (std::ranges::find(settings_.snapshots, iter + 1) != settings_.snapshots.end())
    save_average(fmt::format("generator-{:08}", iter + 1), iter + 1);
  loss.parts.insert(loss.parts.end(), {{"grad_norm", report.grad_norm}, {"skipped", report.skipped}});
  return {loss.parts, report.skipped};
}

void GeneratorRun::save_average(const std::string& name, int64_t iter) const {
  save_generator(run_.checkpoint(name), *generator_, ema_, {{"iterations", fmt::format("{}", iter)}, {"training", to_yaml(settings_)}});
}

void GeneratorRun::validate(int64_t iter) {
  save_average("generator", iter);
  if (!held_out_) return;
  generator_->schedule = chain_of(settings_.network_g, settings_.network_g.steps);
  with_values(*generator_, ema_, [&] { log_held_out(run_, iter, held_out_->measure(held_out_->pictures(*generator_))); });
}

void GeneratorRun::train(bool resume) {
  LoopParts parts;
  parts.compute = compute_;
  parts.step = [this](int64_t iter) { return step(iter); };
  parts.save = [this](TensorFile& state) {
    put(state, generator_->params.named(), at::kFloat, "net.");
    put(state, generator_->params.named_as(ema_), at::kFloat, "ema.");
    optimiser_->save(state, "adam.");
  };
  parts.restore = [this](const TensorFile& state, const std::string& where) {
    load(generator_->params, state, where, "net.");
    load(generator_->params.named_as(ema_), state, where, "ema.");
    optimiser_->restore(state, "adam.", where);
  };
  parts.validate = [this](int64_t iter) { validate(iter); };
  run_loop(run_, settings_.train, resume, parts);
  log_info(fmt::format("generator: {}", run_.checkpoint("generator").string()));
}

}  // namespace

void train_generator(const GeneratorTrainSettings& settings, const std::filesystem::path& run_directory, bool resume) {
  GeneratorRun(settings, run_directory, resume).train(resume);
}

}  // namespace finpercep
