// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/guard.h"

#include <algorithm>
#include <cmath>

namespace finpercep {

namespace {

constexpr std::size_t norms_kept = 50, norms_needed = 10;

}  // namespace

bool GradientGuard::refuses(double norm) {
  if (ratio_ == 0 || norm == 0 || !std::isfinite(norm)) return false;
  bool far = false;
  if (norms_.size() >= norms_needed) {
    std::vector<double> sorted = norms_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    far = norm > ratio_ * *middle;
  }
  norms_.push_back(norm);
  if (norms_.size() > norms_kept) norms_.erase(norms_.begin());
  return far;
}

at::Tensor GradientGuard::state() const {  // with its length in front: a tensor is never empty
  std::vector<double> values = {static_cast<double>(norms_.size())};
  values.insert(values.end(), norms_.begin(), norms_.end());
  return at::tensor(values, at::kDouble);
}

void GradientGuard::restore(const at::Tensor& state) {
  norms_.clear();
  for (int64_t i = 1; i < state.numel(); ++i) norms_.push_back(state[i].item<double>());
}

}  // namespace finpercep
