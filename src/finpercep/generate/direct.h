// SPDX-License-Identifier: Apache-2.0
// Direct nets: one pass from the LR picture to the SR picture, without noise. As a generator that is trained they are a chain of one
// deterministic step (generator.h); here is what is particular to them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/generate/generator.h"

namespace finpercep {

/// Nets with published weights, in the weight cache.
struct PublicNet {
  std::string name, type;  ///< type: rrdb, srvgg
};
const std::vector<PublicNet>& public_nets();
bool is_public_net(const std::string& name);
/// `load_public_net("realesrgan-x4plus")`, on the CPU; model_error where the weights are missing.
std::unique_ptr<Generator> load_public_net(const std::string& name);

/// N x 3 x H x W in [0,1] -> N x 3 x scale H x scale W.
using DirectNet = std::function<at::Tensor(const at::Tensor& lr)>;
/// The generator's net for pictures alone, as fast as we can; its weights are copied. policy direct, type rrdb or srvgg.
DirectNet for_pictures(const Generator& generator, const Compute& compute);

}  // namespace finpercep
