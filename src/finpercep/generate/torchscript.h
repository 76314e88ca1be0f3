// SPDX-License-Identifier: Apache-2.0
// Super-resolvers made elsewhere as TorchScript modules. The file must hold a module saved by torch.jit.save with the method
//   forward(lr: Tensor) -> Tensor            or            forward(lr: Tensor, noise: Tensor) -> Tensor
// lr: N x 3 x H x W, float32, RGB in [0,1], any H and W. Returns SR: N x 3 x sH x sW, in [0,1] (what lies outside is clamped), s one of 1
// (a restorer) to 8, found by a gray picture of 64 x 64 (4 where the module fails on it); noise: N x 3 x 4H x 4W standard normals drawn
// from the picture's seed, for modules that sample, whose s is 4. For one that draws noise of its own torch's generator is seeded with the
// picture's seed, one picture at a time; under `rl` once an iteration. The module runs in float32, unless it casts itself; under `rl` in
// bf16, in mixed precision. A module is a program: load only those whose origin you trust.
#pragma once
#include <filesystem>
#include <map>
#include <memory>

#include "finpercep/generate/super_resolver.h"
#include "finpercep/nets/params.h"

namespace finpercep {

/// The module as a net, differentiable in its parameters. Copies share one module.
class ScriptedNet {
 public:
  /// model_error in one line: not a TorchScript module, another signature, a gray picture of another shape than s times 64 x 64.
  ScriptedNet(const std::string& file, at::Device device);
  int64_t scale() const;  ///< s
  bool takes_noise() const;
  /// Whether it draws random numbers of its own.
  bool draws() const;
  /// float32, on the module's device. `noise` is ignored by modules that take none. model_error: a module that fails, a wrong shape of its
  /// output.
  at::Tensor operator()(const at::Tensor& lr, const at::Tensor& noise) const;
  /// Empty for a module without any, as torch.jit.freeze makes them.
  NamedTensors parameters() const;
  /// The module as it is now, which plain torch loads; `facts` go to its extra files.
  void save(const std::filesystem::path& path, const std::map<std::string, std::string>& facts) const;
  const std::string& file() const;

 private:
  at::Tensor run(const at::Tensor& lr, const at::Tensor& noise) const;
  struct Module;
  std::shared_ptr<Module> module_;
};

/// What a module is told whose pictures are far_outside().
constexpr const char* wrong_range =
    "expected pictures in [0,1], found many values far outside. of [-1,1]: return (x + 1) / 2 from forward; of 0..255: x / 255";

/// Whether the name's ending (.pt, .pth, .ts) or the file's first bytes (a zip archive) say so.
bool may_be_torchscript(const std::string& file);

/// model_error in one line: not a TorchScript module, another signature, a module that fails, a wrong shape of its output, NaN in it,
/// or with `strict` another range; else a warning of that, once.
SuperResolver load_torchscript(const std::string& file, const UpscaleOptions& options);

}  // namespace finpercep
