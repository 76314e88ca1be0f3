// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/optimise.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "finpercep/base/error.h"

namespace finpercep {

void OptimSettings::visit(SettingsVisitor& v) {
  v.field("lr", lr, "learning rate at the start", {.min = 0, .max = 1});
  v.field("betas", betas, "decay of the first and second moment", {.min = 0, .max = 0.99999});
  v.field("weight_decay", weight_decay, "decoupled weight decay", {.min = 0, .max = 1});
  v.field("max_grad_norm", max_grad_norm, "gradients are scaled down to this norm", {.min = 1e-6, .max = 1e6});
  v.field("warmup_iter", warmup_iter, "iterations of linear rise of lr", {.min = 0, .max = 1e9});
  v.field("final_lr_ratio", final_lr_ratio, "share of lr that is left at the last iteration, after a cosine", {.min = 0, .max = 1});
}

double scheduled_lr(const OptimSettings& settings, int64_t iter, int64_t total) {
  const double rise =
      settings.warmup_iter > 0 ? std::min(1.0, static_cast<double>(iter + 1) / static_cast<double>(settings.warmup_iter)) : 1.0;
  const double progress = total > 1 ? static_cast<double>(iter) / static_cast<double>(total - 1) : 0.0;
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return settings.lr * rise * (settings.final_lr_ratio + (1 - settings.final_lr_ratio) * cosine);
}

AdamW::AdamW(std::vector<at::Tensor> params, const OptimSettings& settings) : settings_(settings), params_(std::move(params)) {
  for (const auto& p : params_) {
    mean_.push_back(at::zeros_like(p));
    square_.push_back(at::zeros_like(p));
  }
  steps_.assign(params_.size(), 0);
}

void AdamW::zero_grad() {
  for (auto& p : params_) p.mutable_grad() = at::Tensor();
}

double gradient_norm(const std::vector<at::Tensor>& params) {
  std::vector<at::Tensor> grads;
  for (const at::Tensor& p : params)
    if (p.grad().defined()) grads.push_back(p.grad());
  return grads.empty() ? 0 : at::linalg_vector_norm(at::stack(at::_foreach_norm(grads))).item<double>();
}

StepReport AdamW::step(double lr) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> params, grads, means, squares;
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < params_.size(); ++i) {
    if (!params_[i].grad().defined()) continue;
    chosen.push_back(i);
    params.push_back(params_[i]);
    grads.push_back(params_[i].grad());
    means.push_back(mean_[i]);
    squares.push_back(square_[i]);
  }
  StepReport report;
  if (params.empty()) return report;
  report.grad_norm = gradient_norm(params);
  report.skipped = !std::isfinite(report.grad_norm);
  if (!report.skipped) {
    if (report.grad_norm > settings_.max_grad_norm) at::_foreach_mul_(grads, settings_.max_grad_norm / report.grad_norm);
    std::vector<float> counts;
    for (const std::size_t i : chosen) counts.push_back(static_cast<float>(++steps_[i]));
    const auto steps = at::tensor(counts).to(params[0].device()).unbind();  // one copy to a GPU for all
    at::_fused_adamw_(params, grads, means, squares, {}, steps, lr, settings_.betas[0], settings_.betas[1], settings_.weight_decay, 1e-8,
                      false, false);
  }
  zero_grad();
  return report;
}

void AdamW::save(TensorFile& file, const std::string& prefix) const {
  for (std::size_t i = 0; i < params_.size(); ++i) {
    file.tensors[fmt::format("{}mean.{}", prefix, i)] = to_data(mean_[i]);
    file.tensors[fmt::format("{}square.{}", prefix, i)] = to_data(square_[i]);
  }
  file.tensors[prefix + "steps"] = to_data(at::tensor(steps_, at::kLong));
}

void AdamW::restore(const TensorFile& file, const std::string& prefix, const std::string& where) {
  const auto get = [&](const std::string& name) { return stored(file, prefix + name, where); };
  for (std::size_t i = 0; i < params_.size(); ++i) {
    const at::Tensor mean = get(fmt::format("mean.{}", i));
    if (mean.sizes() != params_[i].sizes())
      throw model_error(
          fmt::format("training state: {}: moment {} has another shape than its parameter. it belongs to another run", where, i));
    mean_[i].copy_(mean);
    square_[i].copy_(get(fmt::format("square.{}", i)));
  }
  const at::Tensor steps = get("steps").expand({static_cast<int64_t>(params_.size())}).contiguous();  // one number for all in older states
  steps_.assign(steps.data_ptr<int64_t>(), steps.data_ptr<int64_t>() + steps.numel());
}

void update_ema(const std::vector<at::Tensor>& average, const std::vector<at::Tensor>& values, double decay) {
  at::NoGradGuard no_grad;
  at::_foreach_lerp_(average, values, 1 - decay);
}

MixedPrecision::MixedPrecision(at::Device device, at::ScalarType dtype)
    : type_(device.type()), before_(at::autocast::is_autocast_enabled(type_)), dtype_before_(at::autocast::get_autocast_dtype(type_)) {
  at::autocast::set_autocast_enabled(type_, dtype != at::kFloat);
  if (dtype != at::kFloat) at::autocast::set_autocast_dtype(type_, dtype);
  at::autocast::increment_nesting();
}

MixedPrecision::~MixedPrecision() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(type_, before_);
  at::autocast::set_autocast_dtype(type_, dtype_before_);
}

OneThread::OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
OneThread::~OneThread() { at::set_num_threads(before_); }

Compute resolve_compute(const std::string& device, const std::string& dtype) {
  Compute compute;
  const bool cuda = at::hasCUDA();
  if (device == "auto") compute.device = cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  else if (device == "cpu") compute.device = at::kCPU;
  else if (device.starts_with("cuda")) {
    if (!cuda)
      throw usage_error(
          fmt::format("--device: expected a device of this machine, found '{}' but LibTorch sees no CUDA GPU. use cpu or auto", device));
    try {
      compute.device = at::Device(device == "cuda" ? "cuda:0" : device);
    } catch (const c10::Error&) {
      throw usage_error(fmt::format("--device: expected cpu, cuda, cuda:N or auto, found '{}'", device));
    }
    if (const int count = at::detail::getCUDAHooks().deviceCount(); compute.device.index() >= count)
      throw usage_error(fmt::format("--device: expected one of {} CUDA devices, cuda:0 to cuda:{}, found '{}'", count, count - 1, device));
  } else throw usage_error(fmt::format("--device: expected cpu, cuda, cuda:N or auto, found '{}'", device));

  if (dtype == "fp32") compute.dtype = at::kFloat;
  else if (dtype == "bf16") compute.dtype = at::kBFloat16;
  else if (dtype == "auto") {
    const bool in_hardware = compute.device.is_cuda() ? at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8()
                                                      : __builtin_cpu_supports("avx512bf16") != 0;
    compute.dtype = in_hardware ? at::kBFloat16 : at::kFloat;
  } else throw usage_error(fmt::format("--dtype: expected fp32, bf16 or auto, found '{}'", dtype));
  if (compute.device.is_cuda()) {
    // fp32 is fp32, whatever the dtype asked for: labels and monitor compute in it, and cuDNN would take 10 bits of 23.
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    // It takes attention without gradient alone: a rollout and the step that repeats it would differ, and the ratio not be 1.
    at::globalContext().setSDPUseCuDNN(false);
  }
  return compute;
}

std::string dtype_name(const Compute& compute) { return compute.dtype == at::kBFloat16 ? "bf16" : "fp32"; }

}  // namespace finpercep
