// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/layout.h"

namespace finpercep {

void channels_last(const Params& params) {
  at::NoGradGuard no_grad;
  for (at::Tensor& weight : params.all())
    if (weight.dim() == 4) weight.set_data(weight.contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace finpercep
