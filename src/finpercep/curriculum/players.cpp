// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/players.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "finpercep/base/error.h"

namespace finpercep {

double Players::lr_scale() const { return std::exp2(-static_cast<double>(rollbacks)); }

void Players::assign(const std::vector<at::Tensor>& values) {
  copy_values(values, trained.all());
  if (lora) lora->apply();
}

void Players::roll_back(const OptimSettings& optim) {
  assign(good);
  copy_values(good, ema);
  if (old) copy_values(generator->params.all(), old->params.all());
  generator_optimiser.emplace(trained.all(), optim);
  guard.forget();
  ++rollbacks;
}

void Players::save(TensorFile& state) const {
  put(state, trained.named(), at::kFloat, "net.");
  put(state, trained.named_as(ema), at::kFloat, "ema.");
  put(state, trained.named_as(good), at::kFloat, "good.");
  put(state, reward->params.named(), at::kFloat, "reward.");
  if (old) put(state, old->params.named(), at::kFloat, "old.");
  generator_optimiser->save(state, "adam.g.");
  if (reward_optimiser) reward_optimiser->save(state, "adam.r.");
  state.tensors["rollbacks"] = to_data(at::full({}, rollbacks, at::kLong));
  state.tensors["guard"] = to_data(guard.state());
  state.tensors["updates"] = to_data(at::full({}, updates, at::kLong));
  state.tensors["running"] = to_data(at::tensor({running.mean, running.square, running.weight}, at::kDouble));
}

void Players::restore(const TensorFile& state, const std::string& where) {
  load(trained, state, where, "net.");
  if (lora) lora->apply();
  load(trained.named_as(ema), state, where, "ema.");
  load(trained.named_as(good), state, where, "good.");
  load(reward->params, state, where, "reward.");
  if (old) load(old->params, state, where, "old.");
  generator_optimiser->restore(state, "adam.g.", where);
  if (reward_optimiser) reward_optimiser->restore(state, "adam.r.", where);
  rollbacks = stored(state, "rollbacks", where).item<int64_t>();
  guard.restore(stored(state, "guard", where));
  updates = stored(state, "updates", where).item<int64_t>();
  const at::Tensor seen = stored(state, "running", where);
  running = {seen[0].item<double>(), seen[1].item<double>(), seen[2].item<double>()};
}

namespace {

// What of a generator is trained: all of it, but not what a TorchScript module has frozen of itself beside what it has not.
NamedTensors learning(const Generator& generator) {
  NamedTensors parts = generator.params.named();
  const auto learns = [](const auto& part) { return part.second.requires_grad(); };
  if (std::ranges::any_of(parts, learns)) std::erase_if(parts, std::not_fn(learns));
  for (const auto& [name, value] : parts) value.set_requires_grad(true);
  return parts;
}

}  // namespace

Players gather_players(const RlSettings& settings, const Compute& compute) {
  Players p;
  p.generator = load_generator(settings.network_g, compute.device);
  p.reference = load_generator(settings.network_g, compute.device);
  if (settings.algorithm == "nft") p.old = load_generator(settings.network_g, compute.device);
  if (settings.pixel_weight > 0) p.lpips = load_perceptual(settings.losses, compute.device);
  p.reward = load_reward(settings.reward, compute.device, &p.facts);
  if (settings.coevolve_freq > 0) p.base = load_reward(settings.reward, compute.device);
  check(settings, *p.generator, p.reward->settings.stage);
  const NamedTensors parts = learning(*p.generator);
  if (settings.lora.rank > 0) p.lora.emplace(parts, settings.lora, static_cast<uint64_t>(settings.manual_seed));
  for (const auto& [name, value] : p.lora ? p.lora->factors() : parts) p.trained.adopt(name, value);
  p.ema = clone_values(p.trained.all());
  p.good = clone_values(p.ema);
  p.generator_optimiser.emplace(p.trained.all(), settings.optim_g);
  if (settings.coevolve_freq > 0) p.reward_optimiser.emplace(p.reward->params.all(), settings.optim_r);
  p.guard = GradientGuard(settings.guard_ratio);
  return p;
}

}  // namespace finpercep
