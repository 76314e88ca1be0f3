// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/export.h"

#include <doctest/doctest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

namespace finpercep {
namespace {

torch::jit::Module exported(const Generator& generator) {
  std::istringstream bytes(export_generator(generator, "{}"));
  return torch::jit::load(bytes);
}

// Every layer with weights that matter: a fresh net's last ones are zero.
std::unique_ptr<Generator> busy(const GeneratorSettings& settings) {
  auto generator = std::make_unique<Generator>(settings, 5);
  Random random(7, "export");
  for (const auto& [name, value] : generator->params.named()) value.add_(normal_tensor(random, value.sizes()) * 0.02);
  return generator;
}

}  // namespace

TEST_CASE("the exported module gives the generator's picture") {
  at::NoGradGuard no_grad;
  GeneratorSettings unet;
  unet.net = {.channels = {16, 24}, .blocks = 1};
  unet.steps = 3;
  GeneratorSettings flow = unet, dit = unet;
  flow.policy = "flow";
  dit.type = "dit";
  dit.dit = {.width = 16, .depth = 2, .heads = 2, .window = 4, .patch = 4};
  for (const GeneratorSettings& settings : {unet, flow, dit}) {
    CAPTURE(settings.type);
    CAPTURE(settings.policy);
    const auto generator = busy(settings);
    const int64_t unit = generator->net.multiple / 4;
    Random random(3, "picture");
    const at::Tensor lr = normal_tensor(random, {2, 3, 3 * unit, 2 * unit}) * 0.2 + 0.5, y = generator->condition(lr);
    const auto noise = generator->draw_noise(random, y.sizes(), at::kCPU);
    const at::Tensor expected = generator->roll_out(y, noise).clamp(0, 1);
    torch::jit::Module module = exported(*generator);
    at::manual_seed(1);
    const at::Tensor next = at::rand({1});
    at::manual_seed(1);
    const at::Tensor found = module.forward({lr, at::stack(noise, 1)}).toTensor();
    CHECK(at::equal(at::rand({1}), next));  // it draws nothing where noise is given
    CHECK(found.sizes() == expected.sizes());
    CHECK((found - expected).abs().max().item<float>() < 2e-5F);
    CHECK((expected - y).abs().mean().item<float>() > 0.01F);  // the chain did something
    // Without noise it draws its own, for any size.
    const at::Tensor odd = module.forward({lr.slice(3, 1)}).toTensor();
    CHECK(odd.sizes() == at::IntArrayRef{2, 3, 12 * unit, 8 * unit - 4});
    CHECK((odd - module.forward({lr.slice(3, 1)}).toTensor()).abs().max().item<float>() > 1e-3F);
  }
}

TEST_CASE("direct nets are exported as forward(lr); one that takes the up-sampled picture is a chain of one step whose noise is nothing") {
  at::NoGradGuard no_grad;
  GeneratorSettings settings;
  settings.policy = "direct";
  settings.rrdb = {.features = 8, .growth = 8, .blocks = 2};
  settings.srvgg = {.features = 8, .convs = 2};
  settings.net = {.channels = {16}, .blocks = 1};
  settings.dit = {.width = 16, .depth = 1, .heads = 2, .window = 4, .patch = 4};
  for (const char* type : {"rrdb", "srvgg", "unet", "dit"}) {
    CAPTURE(type);
    settings.type = type;
    const auto generator = busy(settings);
    Random random(3, "picture");
    const int64_t height = generator->sees_lr ? 9 : 16, width = generator->sees_lr ? 7 : 16;
    const at::Tensor lr = (normal_tensor(random, {2, 3, height, width}) * 0.2 + 0.5).clamp(0, 1), y = generator->condition(lr);
    const at::Tensor expected = generator->roll_out(y, generator->draw_noise(random, y.sizes(), at::kCPU)).clamp(0, 1);
    CHECK((exported(*generator).forward({lr}).toTensor() - expected).abs().max().item<float>() < 2e-5F);
    CHECK((expected - y).abs().mean().item<float>() > 1e-3F);
  }
}

TEST_CASE("the exported module trains") {
  GeneratorSettings settings;
  settings.net = {.channels = {16}, .blocks = 1};
  const auto generator = busy(settings);
  torch::jit::Module module = exported(*generator);
  int64_t numbers = 0;
  for (const auto& value : module.parameters()) numbers += value.requires_grad_(true).numel();
  CHECK(numbers == generator->params.count());
  module.forward({at::full({1, 3, 8, 8}, 0.5)}).toTensor().mean().backward();
  for (const auto& value : module.named_parameters()) {
    CAPTURE(value.name);
    CHECK(value.value.grad().defined());
  }
}

}  // namespace finpercep
