// SPDX-License-Identifier: Apache-2.0
// The SR generator: a net that predicts x0, and the policy by which its steps become a picture: ResShift, flow matching, or the one
// deterministic step of a direct net, whose x0 is the picture.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "finpercep/generate/net_kinds.h"
#include "finpercep/generate/resshift.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/generate/torchscript.h"
#include "finpercep/nets/dit.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/rrdb.h"
#include "finpercep/nets/srvgg.h"
#include "finpercep/nets/unet.h"

namespace finpercep {

struct GeneratorSettings {
  std::string policy = "resshift";  ///< flow, direct
  std::string type = "unet";        ///< of net_kinds()
  UNetSettings net;
  DiTSettings dit;
  RRDBSettings rrdb;
  SRVGGSettings srvgg;
  int64_t scale = 4;
  int64_t steps = 4;  ///< T
  double kappa = 1.0;
  double min_noise = 0.2;
  void visit(SettingsVisitor& v);
  bool direct() const { return policy == "direct"; }
};

/// The policy's chain of `steps` steps for a net that was trained with `settings.steps`. A flow is trained at all times and takes any
/// number. A ResShift net knows its T noise levels only: fewer steps are some of these; in more steps it is told the nearest level that it
/// knows. A direct net has one step, whatever is asked.
ResShiftSchedule chain_of(const GeneratorSettings& settings, int64_t steps);

class Generator {
 public:
  /// usage_error for a net that does not fit the policy. Without a seed, weights are still to be loaded (Params).
  explicit Generator(const GeneratorSettings& settings, std::optional<uint64_t> seed = 0);
  /// A module made elsewhere, as a direct net; with forward(lr, noise) its noise is that of the one step. model_error where it has nothing
  /// to train.
  explicit Generator(const ScriptedNet& script);
  Generator(const Generator&) = delete;  // layers hold handles into params
  Generator& operator=(const Generator&) = delete;

  /// f_theta(x_t, y, t): the predicted x0. t is one step for the whole batch, or N steps (int64, CPU) in `predict_each`.
  at::Tensor predict(const at::Tensor& x_t, const at::Tensor& y, int64_t t) const;
  at::Tensor predict_each(const at::Tensor& x_t, const at::Tensor& y, const at::Tensor& t) const;

  /// Condition y: the LR picture up-sampled to N x 3 x scale H x scale W, clamped to [0,1]; bicubic, or nearest for a net that takes the LR
  /// picture itself, which finds it in every scale-th pixel.
  at::Tensor condition(const at::Tensor& lr) const;
  /// x_T and the steps down to, and not including, step `stop` (0 runs the whole chain and gives the SR picture, not clamped).
  /// `noise[k]` is the k-th normal tensor of the chain: noise[0] starts it, noise[k] is added behind step T - k + 1.
  at::Tensor roll_out(const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t stop = 0) const;
  /// The part of it from x_t of step `from` on.
  at::Tensor roll_on(at::Tensor x, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t from, int64_t stop = 0) const;
  std::vector<at::Tensor> draw_noise(Random& random, at::IntArrayRef shape, at::Device device) const;
  /// Where the net is a module that draws noise of its own, its next picture has the noise of `seed`: torch's generator is set. Before each
  /// of two pictures that are compared, and of one that must be the same when a run goes on.
  void seed_module(uint64_t seed) const;

  GeneratorSettings settings;
  ResShiftSchedule schedule;
  Params params;
  MadeNet net;
  bool sees_lr = false;  ///< the net takes the LR picture itself
  std::optional<ScriptedNet> script;
};

/// Sides of LR pictures must be multiples of it.
int64_t lr_multiple(const Generator& generator);

/// usage_error where pictures degraded by another factor would reach the net.
void check_scale(const Generator& generator, int64_t degradation_scale);
/// usage_error naming the setting where the net cannot take pictures of this side.
void check_side(const Generator& generator, int64_t side, const std::string& setting);

/// "sr-small", a public net, a checkpoint file or a TorchScript module. model_error for what is none or is damaged; input_error where the
/// file cannot be read.
std::unique_ptr<Generator> load_generator(const std::string& name_or_file, at::Device device);
/// Does `work` while the parameters hold `values`, in their order, and gives them their own back.
void with_values(const Generator& generator, const std::vector<at::Tensor>& values, const std::function<void()>& work);
/// Saves the generator with these values of its parameters, in fp16; `facts` go to the metadata (iterations, data, command). A TorchScript
/// module is saved as one, in its own type, with the ending .pt. Returns the file that was written.
std::filesystem::path save_generator(const std::filesystem::path& path, const Generator& generator, const std::vector<at::Tensor>& values,
                                     const std::map<std::string, std::string>& facts);

Image upscale(const Generator& generator, const Image& lr, uint64_t seed, const UpscaleOptions& options);

}  // namespace finpercep
