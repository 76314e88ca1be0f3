// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/torchscript.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <span>
#include <sstream>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/memory.h"
#include "finpercep/generate/tiles.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

Error bad(const std::string& file, const std::string& what) { return model_error(fmt::format("generator: {}: {}", file, what)); }

// The interpreter's errors are tracebacks whose last line says what happened.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "no message";
  const std::size_t start = text.find_last_of('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     std::min<std::size_t>(end - (start == std::string::npos ? 0 : start + 1) + 1, 200));
}

std::vector<int64_t> shape_of(const at::Tensor& lr, int64_t scale) { return {lr.size(0), 3, scale * lr.size(2), scale * lr.size(3)}; }

bool draws_noise(const torch::jit::Block& block) {
  return std::ranges::any_of(block.nodes(), [](const torch::jit::Node* node) {
    return node->isNondeterministic() || std::ranges::any_of(node->blocks(), [](const torch::jit::Block* b) { return draws_noise(*b); });
  });
}

// Of torch's own generator, which the seed of a picture must then be put into.
bool draws_noise(const torch::jit::Method& forward) {
  const auto graph = forward.graph()->copy();
  torch::jit::Inline(*graph);
  return draws_noise(*graph->block());
}

}  // namespace

struct ScriptedNet::Module {
  std::string file;
  torch::jit::Module net;
  int64_t inputs = 0, scale = direct_scale;
  bool draws = false;
};

ScriptedNet::ScriptedNet(const std::string& file, at::Device device) : module_(std::make_shared<Module>()) {
  if (!std::filesystem::is_regular_file(file)) throw bad(file, "expected a TorchScript module, found no file");
  module_->file = file;
  torch::jit::ExtraFilesMap made_by_us = {{"finpercep.json", ""}};
  try {
    module_->net = torch::jit::load(file, device, made_by_us);
  } catch (const std::exception& error) {
    if (out_of_memory(error)) throw;
    throw bad(file,
              "expected a TorchScript module saved by torch.jit.save, found another kind of file. a state dict has no program: convert "
              "it in Python");
  }
  module_->net.eval();
  const auto forward = module_->net.find_method("forward");
  if (!forward) throw bad(file, "expected a method forward(lr) or forward(lr, noise), found none");
  module_->inputs = static_cast<int64_t>(forward->function().getSchema().arguments().size()) - 1;  // the first is the module
  if (module_->inputs != 1 && module_->inputs != 2)
    throw bad(file, fmt::format("expected forward(lr) or forward(lr, noise), found a forward with {} inputs", module_->inputs));
  for (const c10::Argument& argument : std::span(forward->function().getSchema().arguments()).subspan(1))
    if (argument.type()->kind() != c10::TypeKind::TensorType)
      throw bad(file,
                fmt::format("expected inputs that are tensors, found '{}: {}'{}", argument.name(), argument.type()->repr_str(),
                            made_by_us["finpercep.json"].empty() ? ""
                                                                 : ". what `finpercep export` wrote is for Python: give the checkpoint, or "
                                                                   "make one of it by tools/checkpoint_of_torchscript.py"));
  module_->draws = draws_noise(*forward);
  if (takes_noise()) return;
  at::NoGradGuard no_grad;
  constexpr int64_t side = 64, most = 8;
  const at::Tensor lr = at::full({1, 3, side, side}, 0.5, at::TensorOptions(device));
  at::Tensor sr;
  try {
    sr = run(lr, {});
  } catch (const Error&) {  // one that takes some sizes only: its first own picture tells
    return;
  }
  const int64_t scale = sr.dim() == 4 ? sr.size(2) / side : 0;
  if (scale < 1 || scale > most || sr.sizes().vec() != shape_of(lr, scale))
    throw bad(file, fmt::format("expected an output of 1 to {} times the size for an LR of {}, found {}", most, lr.sizes().vec(),
                                sr.sizes().vec()));
  module_->scale = scale;
}

int64_t ScriptedNet::scale() const { return module_->scale; }
bool ScriptedNet::takes_noise() const { return module_->inputs == 2; }
bool ScriptedNet::draws() const { return module_->draws; }
const std::string& ScriptedNet::file() const { return module_->file; }

// forward, whatever the size of what it gives.
at::Tensor ScriptedNet::run(const at::Tensor& lr, const at::Tensor& noise) const {
  // As the graph is written: the optimising executor compiles after some calls and would then give other last bits than before.
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  std::vector<c10::IValue> given = {lr};
  if (takes_noise()) given.emplace_back(noise);
  c10::IValue result;
  try {
    result = torch::jit::Module(module_->net).forward(std::move(given));
  } catch (const std::exception& error) {
    if (out_of_memory(error)) throw;
    const bool mixed = at::autocast::is_autocast_enabled(lr.device().type());
    const bool half = std::ranges::any_of(parameters(), [](const auto& parameter) { return parameter.second.scalar_type() != at::kFloat; });
    throw bad(file(), fmt::format("failed on an LR picture of {} x {}: {}. it must take {}{}", lr.size(3), lr.size(2),
                                  last_line(error.what()), half ? "float32 pictures: save module.float()" : "any size",
                                  mixed ? ", and bf16, or be trained with dtype=fp32" : ""));
  }
  if (!result.isTensor()) throw bad(file(), fmt::format("expected a tensor from forward, found {}", result.tagKind()));
  return result.toTensor().to(at::kFloat);
}

at::Tensor ScriptedNet::operator()(const at::Tensor& lr, const at::Tensor& noise) const {
  at::Tensor sr = run(lr, noise);
  const std::vector<int64_t> expected = shape_of(lr, scale());
  if (sr.sizes().vec() != expected)
    throw bad(file(),
              fmt::format("expected an output of shape {} for an LR of {}, found {}", expected, lr.sizes().vec(), sr.sizes().vec()));
  const auto trains = [](const auto& parameter) { return parameter.second.requires_grad(); };
  if (at::GradMode::is_enabled() && !sr.requires_grad() && std::ranges::any_of(parameters(), trains))
    throw bad(file(),
              "expected a picture with a gradient to train its parameters by, found none. is there a no_grad or a detach in its forward?");
  return sr;
}

NamedTensors ScriptedNet::parameters() const {
  NamedTensors found;
  for (const auto& parameter : module_->net.named_parameters()) found.emplace_back(parameter.name, parameter.value);
  return found;
}

void ScriptedNet::save(const std::filesystem::path& path, const std::map<std::string, std::string>& facts) const {
  std::stringstream as_it_is, on_cpu;  // where everybody can load it; Module::to would leave constants of traced graphs on the GPU
  module_->net.save(as_it_is);
  torch::jit::load(as_it_is, at::kCPU).save(on_cpu, torch::jit::ExtraFilesMap(facts.begin(), facts.end()));
  write_file(path, on_cpu.str());
}

bool may_be_torchscript(const std::string& file) {
  const std::string ending = std::filesystem::path(file).extension().string();
  if (ending == ".pt" || ending == ".pth" || ending == ".ts") return true;
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  char start[4] = {};
  std::ifstream(file, std::ios::binary).read(start, sizeof start);
  return std::string_view(start, 4) == "PK\x03\x04";
}

SuperResolver load_torchscript(const std::string& file, const UpscaleOptions& options) {
  const ScriptedNet net(file, options.compute.device);
  return [net, options, warned = std::make_shared<std::atomic<bool>>(false)](const Image& picture, uint64_t seed) {
    at::NoGradGuard no_grad;
    static std::mutex torchs_generator;
    std::unique_lock<std::mutex> alone;
    if (net.draws()) {
      alone = std::unique_lock(torchs_generator);
      at::manual_seed(seed);
    }
    const at::Tensor lr = to_tensor(picture);
    at::Tensor noise;
    if (net.takes_noise()) {
      Random random(seed, "torchscript");
      noise = normal_tensor(random, shape_of(lr, net.scale()));
    }
    const at::Tensor sr = in_tiles(lr.size(2), lr.size(3), net.scale(), options.tile, 1, [&](const Tile& tile) {
      const auto cut = [&](const at::Tensor& x, int64_t scale) {
        return x.narrow(2, scale * tile.top, scale * tile.height)
            .narrow(3, scale * tile.left, scale * tile.width)
            .contiguous()
            .to(options.compute.device);
      };
      const at::Tensor sr = net(cut(lr, 1), noise.defined() ? cut(noise, net.scale()) : noise);
      if (!at::isfinite(sr).all().item<bool>())
        throw bad(net.file(), "its output holds NaN or infinity. a module in half precision may overflow; save it in float32");
      if ((options.strict || !*warned) && far_outside(sr)) {
        if (options.strict) throw bad(net.file(), wrong_range);
        if (!warned->exchange(true)) log_warning(fmt::format("generator: {}: {}", net.file(), wrong_range));
      }
      return sr;
    });
    return to_image(sr.clamp(0, 1));
  };
}

}  // namespace finpercep
