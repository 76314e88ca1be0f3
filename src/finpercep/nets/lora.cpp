// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/lora.h"

#include <fmt/format.h>

#include <cmath>

#include "finpercep/base/error.h"

namespace finpercep {

void LoraSettings::visit(SettingsVisitor& v) {
  v.field("rank", rank, "of the adapters of the generator's weights; 0: none, all weights are trained", {.min = 0, .max = 4096});
  v.field("alpha", alpha, "their product counts alpha / rank times; 0: once", {.min = 0, .max = 1e6});
}

Lora::Lora(const NamedTensors& weights, const LoraSettings& settings, uint64_t seed)
    : scale_(settings.alpha > 0 ? settings.alpha / static_cast<double>(settings.rank) : 1) {
  at::NoGradGuard no_grad;
  uint64_t index = 0;
  for (const auto& [name, weight] : weights) {
    const int64_t out = weight.dim() < 2 ? 0 : weight.size(0), in = out == 0 ? 0 : weight.numel() / out;
    if (std::min(out, in) <= settings.rank) {
      at::Tensor(weight).set_requires_grad(false);
      continue;
    }
    Random random(seed, "lora", index++);
    const auto factor = [](at::Tensor value) { return value.set_requires_grad(true); };
    const at::Tensor a = normal_tensor(random, {settings.rank, in}, weight.device()).div_(std::sqrt(static_cast<double>(in)));
    adapted_.push_back({weight, weight.detach().clone(), factor(a), factor(at::zeros({out, settings.rank}, a.options()))});
    factors_.emplace_back(name + ".lora_A", adapted_.back().a);
    factors_.emplace_back(name + ".lora_B", adapted_.back().b);
  }
  if (adapted_.empty())
    throw usage_error(fmt::format("lora.rank: expected one below the sides of some weight of the generator, found {}", settings.rank));
}

void Lora::apply() const {
  at::NoGradGuard no_grad;
  for (const Adapted& w : adapted_) w.weight.copy_(w.base + scale_ * at::mm(w.b, w.a).view_as(w.base));
}

void Lora::take_gradients() const {
  at::NoGradGuard no_grad;
  for (const Adapted& w : adapted_) {
    if (!w.weight.grad().defined()) continue;
    const at::Tensor g = w.weight.grad().reshape({w.b.size(0), w.a.size(1)});
    w.a.mutable_grad() = scale_ * at::mm(w.b.t(), g);
    w.b.mutable_grad() = scale_ * at::mm(g, w.a.t());
    w.weight.mutable_grad().reset();
  }
}

}  // namespace finpercep
