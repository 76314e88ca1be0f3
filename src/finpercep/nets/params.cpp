// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/params.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

at::ScalarType scalar_type(DType type) {
  switch (type) {
    case DType::f64:
      return at::kDouble;
    case DType::f32:
      return at::kFloat;
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    case DType::i64:
      return at::kLong;
    case DType::i32:
      return at::kInt;
    case DType::i16:
      return at::kShort;
    case DType::i8:
      return at::kChar;
    case DType::u8:
      return at::kByte;
    case DType::boolean:
      return at::kBool;
  }
  TORCH_CHECK(false, "scalar_type: unknown dtype");
}

DType dtype_of(at::ScalarType type) {
  for (DType candidate :
       {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16, DType::i8, DType::u8, DType::boolean})
    if (scalar_type(candidate) == type) return candidate;
  TORCH_CHECK(false, "dtype_of: ", type, " has no safetensors name");
}

}  // namespace

at::Tensor Params::add(const std::string& name, at::Tensor value) {
  for (const auto& [known, tensor] : tensors_) TORCH_CHECK(known != name, "Params: ", name, " registered twice");
  tensors_.emplace_back(name, value);
  return value;
}

at::Tensor Params::normal(const std::string& name, at::IntArrayRef shape, double gain, int64_t fan_in) {
  if (gain == 0 || !seed_) return constant(name, shape, 0);
  Random random(*seed_, "init", tensors_.size());
  return add(name, normal_tensor(random, shape).mul_(gain / std::sqrt(static_cast<double>(fan_in))));
}

at::Tensor Params::constant(const std::string& name, at::IntArrayRef shape, double value) {
  return add(name, at::full(shape, seed_ ? value : std::numeric_limits<double>::quiet_NaN(), at::kFloat));
}

std::vector<at::Tensor> Params::with_prefix(const std::string& prefix) const {
  std::vector<at::Tensor> found;
  for (const auto& [name, tensor] : tensors_)
    if (name.starts_with(prefix)) found.push_back(tensor);
  return found;
}

NamedTensors Params::named_as(const std::vector<at::Tensor>& values) const {
  TORCH_CHECK(values.size() == tensors_.size(), "Params: ", values.size(), " values for ", tensors_.size(), " tensors");
  NamedTensors out = tensors_;
  for (std::size_t i = 0; i < out.size(); ++i) out[i].second = values[i];
  return out;
}

int64_t Params::count() const {
  int64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.numel();
  return total;
}

void Params::to(at::Device device, at::ScalarType dtype) {
  at::NoGradGuard no_grad;
  for (auto& [name, tensor] : tensors_) {
    const bool grad = tensor.requires_grad();
    tensor.set_data(tensor.to(device, dtype));
    tensor.set_requires_grad(grad);
  }
}

void Params::require_grad(bool on, const std::string& prefix) {
  for (auto& tensor : with_prefix(prefix)) tensor.set_requires_grad(on);
}

at::Tensor normal_tensor(Random& random, at::IntArrayRef shape, at::Device device) {
  at::Tensor values = at::empty(shape, at::kFloat);
  random.fill_normal(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  return values.to(device);
}

void copy_values(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to) {
  TORCH_CHECK(from.size() == to.size(), "copy_values: ", from.size(), " tensors into ", to.size());
  at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
}

std::vector<at::Tensor> clone_values(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> copies;
  for (const auto& tensor : tensors) copies.push_back(tensor.detach().clone());
  return copies;
}

TensorData to_data(const at::Tensor& tensor) {
  const at::Tensor value = tensor.detach().to(at::kCPU).contiguous();
  TensorData data{dtype_of(value.scalar_type()), value.sizes().vec(), std::vector<std::byte>(value.nbytes())};
  std::memcpy(data.bytes.data(), value.data_ptr(), data.bytes.size());
  return data;
}

at::Tensor from_data(const TensorData& data) {
  at::Tensor value = at::empty(data.shape, scalar_type(data.dtype));
  std::memcpy(value.data_ptr(), data.bytes.data(), data.bytes.size());
  return value;
}

at::Tensor stored(const TensorFile& state, const std::string& name, const std::string& where) {
  const auto found = state.tensors.find(name);
  if (found == state.tensors.end())
    throw model_error(
        fmt::format("training state: {}: expected tensor '{}', not in the file. it is of an older version or another run", where, name));
  return from_data(found->second);
}

void put(TensorFile& file, const NamedTensors& tensors, at::ScalarType dtype, const std::string& prefix) {
  for (const auto& [name, tensor] : tensors) file.tensors[prefix + name] = to_data(tensor.detach().to(at::kCPU, dtype));
}

void load(const NamedTensors& tensors, const TensorFile& file, const std::string& where, const std::string& prefix, bool exact) {
  std::set<std::string> wanted;
  at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : tensors) {
    const std::string full = prefix + name;
    wanted.insert(full);
    const auto found = file.tensors.find(full);
    if (found == file.tensors.end())
      throw model_error(
          fmt::format("checkpoint: {}: expected tensor '{}', not in the file. it belongs to another architecture or stage", where, full));
    if (found->second.shape != tensor.sizes().vec())
      throw model_error(fmt::format("checkpoint: {}: tensor '{}': expected shape {}, found {}. it belongs to another architecture or stage",
                                    where, full, tensor.sizes().vec(), found->second.shape));
    const at::Tensor value = from_data(found->second);
    if (!std::isfinite(value.to(at::kFloat).mul(0).sum().item<float>()))  // isfinite takes ten times as long, of halves
      throw model_error(fmt::format(
          "checkpoint: {}: tensor '{}' holds NaN or infinity. the training that wrote it diverged; use an earlier one", where, full));
    tensor.copy_(value);
  }
  if (!exact) return;
  for (const auto& [name, data] : file.tensors)
    if (name.starts_with(prefix) && !wanted.contains(name))
      throw model_error(
          fmt::format("checkpoint: {}: tensor '{}' is not part of this net. it belongs to another architecture or stage", where, name));
}

}  // namespace finpercep
