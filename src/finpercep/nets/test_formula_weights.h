// SPDX-License-Identifier: Apache-2.0
// For tests: weights that tests/parity/formula.py makes bit by bit alike, so that a big net is compared without its weights in the tree.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "finpercep/nets/params.h"

namespace finpercep {

/// Uniform in [-sqrt 3, sqrt 3) (standard deviation 1), from SplitMix64 of FNV-1a(name) + position.
inline at::Tensor formula_noise(const std::string& name, at::IntArrayRef shape) {
  uint64_t seed = 0xcbf29ce484222325ull;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  at::Tensor out = at::empty(shape, at::kFloat);
  float* value = out.data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    uint64_t z = seed + static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    value[i] = static_cast<float>((static_cast<double>(z >> 40) / 8388608.0 - 1) * std::sqrt(3.0));
  }
  return out;
}

/// By name and rank: kernels and matrices N(0, 1 / fan in), norms' weights 1 + .1 u, variances 1.5 + .25 u, log scales 4.6 + .1 u, all else
/// .1 u.
inline at::Tensor formula_tensor(const std::string& name, at::IntArrayRef shape) {
  const at::Tensor noise = formula_noise(name, shape);
  if (name.ends_with("running_var")) return 1.5 + 0.25 * noise;
  if (name.ends_with("logit_scale")) return 4.6 + 0.1 * noise;
  if (shape.size() >= 2) {
    int64_t fan_in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    return noise * static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)));
  }
  if (name.ends_with("weight")) return 1 + 0.1 * noise;
  return 0.1 * noise;
}

/// The tensors of a fixture's list {"name": [shape], ..}.
inline TensorFile formula_file(const nlohmann::json& tensors) {
  TensorFile file;
  for (const auto& [name, shape] : tensors.items()) file.tensors[name] = to_data(formula_tensor(name, shape.get<std::vector<int64_t>>()));
  return file;
}

}  // namespace finpercep
