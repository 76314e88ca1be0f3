// SPDX-License-Identifier: Apache-2.0
// The nets that a generator can be made of, in one table. Nothing else compares their names: a new net is a line in net_kinds.cpp and a
// group of GeneratorSettings.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/base/ncnn.h"
#include "finpercep/nets/params.h"

namespace finpercep {

struct GeneratorSettings;

/// x_t, y, time (N, in [0,1]) -> x0.
using RestoringNet = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& y, const at::Tensor& time)>;
/// N x 3 x H x W in [0,1] -> N x 3 x scale H x scale W, not clamped.
using DirectNet = std::function<at::Tensor(const at::Tensor& lr)>;

/// A net by what can be done with it. All share its layers, which hold tensors of the Params that it was made with.
struct MadeNet {
  RestoringNet restore{};
  int64_t multiple = 1;                   ///< sides of pictures must be multiples of it
  std::function<std::string()> script{};  ///< source of the TorchScript method `net` (nets/script_restore.h)
  // Of nets that see the LR picture, empty in others:
  DirectNet direct{};                     ///< on tensors of the parameters' type and device
  std::function<DirectNet()> compiled{};  ///< for float32 on the CPU, without gradients, of the weights as they are at the call
  std::function<void(const NcnnGraph& graph, const std::string& where)> load_ncnn{};  ///< all weights; model_error where they do not fit
};

struct NetKind {
  std::string name;  ///< `type` of GeneratorSettings
  bool sees_lr;      ///< takes the LR picture itself and no noise: policy direct and scale direct_scale only
  /// usage_error for sizes that the net cannot have.
  MadeNet (*make)(Params& params, const GeneratorSettings& settings);
  /// The size of a net of this kind, from its graph into the settings; model_error where the graph is another net. Null without sees_lr.
  void (*read_size)(const NcnnGraph& graph, const std::string& where, GeneratorSettings& settings);
};

/// In the order of the help.
const std::vector<NetKind>& net_kinds();
/// usage_error for an unknown name.
const NetKind& net_kind(const std::string& name);

/// The LR picture that the condition y of such a net holds: every scale-th pixel.
at::Tensor lr_in(const at::Tensor& y, int64_t scale);

}  // namespace finpercep
