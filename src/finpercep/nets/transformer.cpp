// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/transformer.h"

namespace finpercep {

at::Tensor TransformerBlock::operator()(at::Tensor x, const std::function<at::Tensor(const at::Tensor&)>& turn) const {
  const auto parts = qkv(norm1(x)).chunk(3, 2);
  x = x + out(turn ? attend(turn(parts[0]), turn(parts[1]), parts[2], heads) : attend(parts[0], parts[1], parts[2], heads));
  at::Tensor h = fc(norm2(x));
  h = quick_gelu ? h * at::sigmoid(1.702 * h) : at::gelu(h);
  return x + project(h);
}

}  // namespace finpercep
