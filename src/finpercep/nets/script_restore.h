// SPDX-License-Identifier: Apache-2.0
// The restoring nets as TorchScript source, for export.
#pragma once
#include <string>

#include "finpercep/nets/dit.h"
#include "finpercep/nets/rrdb.h"
#include "finpercep/nets/script.h"
#include "finpercep/nets/srvgg.h"
#include "finpercep/nets/unet.h"

namespace finpercep {

/// The method `net(self, x: Tensor, y: Tensor, step_time: Tensor) -> Tensor` of a net that sees noise, where step_time is its step's
/// time_embedding, 1 x time_dim.
std::string script(const UNet& net);
std::string script(const DiT& net);

/// The method `net(self, lr: Tensor) -> Tensor` of a direct net.
std::string script(const RRDB& net);
std::string script(const SRVGG& net);

}  // namespace finpercep
