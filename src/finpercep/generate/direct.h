// SPDX-License-Identifier: Apache-2.0
// Direct nets: one pass from the LR picture to the SR picture, without noise. As a generator that is trained they are a chain of one
// deterministic step (generator.h); here is what is particular to them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "finpercep/generate/generator.h"

namespace finpercep {

/// Nets with published weights, in the weight cache.
struct PublicNet {
  std::string name, type;  ///< type: of net_kinds()
};
const std::vector<PublicNet>& public_nets();
bool is_public_net(const std::string& name);
/// `load_public_net("realesrgan-x4plus")`, on the CPU; model_error where the weights are missing.
std::unique_ptr<Generator> load_public_net(const std::string& name);

/// The net of a generator that sees the LR picture, for pictures alone, as fast as we can. The generator is given up to it: its weights are
/// laid out anew in place.
DirectNet for_pictures(std::shared_ptr<Generator> generator, const Compute& compute);

}  // namespace finpercep
