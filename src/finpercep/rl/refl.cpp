// SPDX-License-Identifier: Apache-2.0
#include "finpercep/rl/refl.h"

namespace finpercep {

Prediction refl_prediction(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise, int64_t t) {
  at::Tensor x;
  {
    at::NoGradGuard no_grad;
    x = generator.roll_out(y, noise, t);
  }
  return {x, generator.predict(x, y, t)};
}

at::Tensor refl_loss(const at::Tensor& reward, const at::Tensor& target) { return (target - reward).clamp_min(0).mean(); }

at::Tensor reference_anchor(const at::Tensor& x0, const at::Tensor& x0_reference) { return (x0 - x0_reference).square().mean(); }

at::Tensor lr_consistency(const at::Tensor& x0, const at::Tensor& y, int64_t block) {
  return (at::avg_pool2d(x0, block) - at::avg_pool2d(y, block)).abs().mean();
}

}  // namespace finpercep
