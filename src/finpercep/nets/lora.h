// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters (Hu et al., LoRA, ICLR 2022): W = W_0 + (alpha / rank) B A, of which only B and A are trained. Made outside the net,
// which goes on using W: after a backward pass the gradient of W gives those of the factors by the chain rule, exactly, so that any net can
// have them, a TorchScript module as well. What is saved is optimiser state and averages; the gradient of W is still computed.
#pragma once
#include <string>
#include <vector>

#include "finpercep/base/settings.h"
#include "finpercep/nets/params.h"

namespace finpercep {

struct LoraSettings {
  int64_t rank = 0;  ///< 0: no adapters, every weight is trained
  double alpha = 0;  ///< 0: as rank, so that the factor is 1
  void visit(SettingsVisitor& v);
};

class Lora {
 public:
  /// Adapters for every one of `weights` that is a matrix of out x (all else) with both sides above the rank; what has none stays as it
  /// is. A is normal with deviation 1 / sqrt(fan_in), B zero: at first the net is what it was. The rest is frozen. usage_error where no
  /// tensor is large enough.
  Lora(const NamedTensors& weights, const LoraSettings& settings, uint64_t seed);

  const NamedTensors& factors() const { return factors_; }  ///< "NAME.lora_A" rank x fan_in, "NAME.lora_B" out x rank
  void apply() const;                                       ///< W from the factors as they are
  void take_gradients() const;                              ///< of the factors, from those of W, which are cleared

 private:
  struct Adapted {
    at::Tensor weight, base, a, b;
  };
  double scale_;
  std::vector<Adapted> adapted_;
  NamedTensors factors_;
};

}  // namespace finpercep
