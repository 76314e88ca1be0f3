// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/draft.h"

namespace finpercep {

Prediction draft_prediction(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t k) {
  at::Tensor x;
  {
    at::NoGradGuard no_grad;
    x = generator.roll_out(y, noise, k);
  }
  x = generator.roll_on(x, y, noise, k, 1);
  return {x.detach(), generator.predict(x, y, 1)};
}

}  // namespace finpercep
