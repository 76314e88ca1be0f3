// SPDX-License-Identifier: Apache-2.0
// AdamW (Loshchilov & Hutter 2019), exponential moving average and mixed precision: what every trainer here shares.
#pragma once
#include "finpercep/base/settings.h"
#include "finpercep/nets/params.h"

namespace finpercep {

struct OptimSettings {
  double lr = 2e-4;
  std::array<double, 2> betas = {0.9, 0.99};
  double weight_decay = 0;
  double max_grad_norm = 1.0;
  int64_t warmup_iter = 0;      ///< linear rise of lr
  double final_lr_ratio = 0.1;  ///< cosine fall to this share of lr at the last iteration
  void visit(SettingsVisitor& v);
};

/// lr at iteration `iter` of `total`.
double scheduled_lr(const OptimSettings& settings, int64_t iter, int64_t total);

/// Norm over the gradients of all parameters; 0 where there are none.
double gradient_norm(const std::vector<at::Tensor>& params);

struct StepReport {
  double grad_norm = 0;
  bool skipped = false;  ///< the gradient was not finite: parameters and moments were left alone
};

class AdamW {
 public:
  AdamW(std::vector<at::Tensor> params, const OptimSettings& settings);
  /// Clips the gradient to max_grad_norm, updates, clears the gradients.
  StepReport step(double lr);
  void zero_grad();
  /// State under `prefix` for exact resume: moments and step count.
  void save(TensorFile& file, const std::string& prefix) const;
  void restore(const TensorFile& file, const std::string& prefix, const std::string& where);

 private:
  OptimSettings settings_;
  std::vector<at::Tensor> params_, mean_, square_;
  std::vector<int64_t> steps_;  ///< of each: a tensor that had no gradient until now starts at 1, as bias correction wants
};

/// average += (1 - decay) * (value - average)
void update_ema(const std::vector<at::Tensor>& average, const std::vector<at::Tensor>& values, double decay);

/// bf16 autocast for convolutions and products on `device` while it lives; none, whatever is on around it, when `dtype` is float.
class MixedPrecision {
 public:
  MixedPrecision(at::Device device, at::ScalarType dtype);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  at::DeviceType type_;
  bool before_;
  at::ScalarType dtype_before_;
};

/// LibTorch computes in the calling thread alone while it lives: for work that parallel_for spreads over threads. (The caller of
/// parallel_for is one of them: without going back to what was, all that follows would run on one core.)
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// --device cpu|cuda[:n]|auto and --dtype fp32|bf16|auto, resolved once. auto: CUDA where there is one; bf16 where the processor computes
/// in it.
struct Compute {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};
Compute resolve_compute(const std::string& device, const std::string& dtype);
/// "fp32" or "bf16": what --dtype calls it.
std::string dtype_name(const Compute& compute);

}  // namespace finpercep
