// SPDX-License-Identifier: Apache-2.0
// The SR generator: a UNet that predicts x0, and the policy (ResShift or flow matching) by which its steps become a picture.
#pragma once
#include <memory>
#include <string>

#include "finpercep/generate/resshift.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/unet.h"

namespace finpercep {

struct GeneratorSettings {
  std::string policy = "resshift";  ///< or flow
  UNetSettings net;
  int64_t scale = 4;
  int64_t steps = 4;        ///< T
  double kappa = 1.0;
  double min_noise = 0.2;
  void visit(SettingsVisitor& v);
};

/// The policy's chain of `steps` steps for a net that was trained with `settings.steps`. A flow is trained at all times and takes any number. A
/// ResShift net knows its T noise levels only: fewer steps are some of these; in more steps it is told the nearest level that it knows.
ResShiftSchedule chain_of(const GeneratorSettings& settings, int64_t steps);

class Generator {
 public:
  explicit Generator(const GeneratorSettings& settings, uint64_t seed = 0);
  Generator(const Generator&) = delete;  // layers hold handles into params
  Generator& operator=(const Generator&) = delete;

  /// f_theta(x_t, y, t): the predicted x0. t is one step for the whole batch, or N x 1 steps (int64, CPU) in `predict_each`.
  at::Tensor predict(const at::Tensor& x_t, const at::Tensor& y, int64_t t) const;
  at::Tensor predict_each(const at::Tensor& x_t, const at::Tensor& y, const at::Tensor& t) const;

  /// Condition y: the LR picture up-sampled (bicubic) to N x 3 x scale H x scale W, clamped to [0,1].
  at::Tensor condition(const at::Tensor& lr) const;
  /// x_T and the steps down to, and not including, step `stop` (0 runs the whole chain and gives the SR picture, not clamped).
  /// `noise[k]` is the k-th normal tensor of the chain: noise[0] starts it, noise[k] is added behind step T - k + 1.
  at::Tensor roll_out(const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t stop = 0) const;
  /// The part of it from x_t of step `from` on.
  at::Tensor roll_on(at::Tensor x, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t from, int64_t stop = 0) const;
  std::vector<at::Tensor> draw_noise(Random& random, at::IntArrayRef shape, at::Device device) const;

  GeneratorSettings settings;
  ResShiftSchedule schedule;
  Params params;
  UNet net;
};

/// "sr-small", a checkpoint file.
std::unique_ptr<Generator> load_generator(const std::string& name_or_file, at::Device device);
/// fp16 unless told otherwise; `facts` go to the metadata (iterations, data, command).
void save_generator(const std::filesystem::path& path, const Generator& generator, const std::vector<at::Tensor>& values,
                    const std::map<std::string, std::string>& facts, at::ScalarType dtype = at::kHalf);

Image upscale(const Generator& generator, const Image& lr, uint64_t seed, const UpscaleOptions& options);

}  // namespace finpercep
