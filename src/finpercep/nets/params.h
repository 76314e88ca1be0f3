// SPDX-License-Identifier: Apache-2.0
// A net is a plain struct of layers whose tensors are registered, in order and by name, in one Params. That list is what is
// initialised, moved between devices, optimised, averaged and saved.
#pragma once
#include <torch/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "finpercep/base/random.h"
#include "finpercep/base/safetensors.h"

namespace finpercep {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

class Params {
 public:
  /// Initial values come from the Philox stream (seed, "init", position): the same on every machine. Without a seed nothing is drawn and
  /// every number is NaN, for a net whose weights are loaded: one that a loader forgets is seen in every result.
  explicit Params(std::optional<uint64_t> seed) : seed_(seed) {}

  /// Normal with standard deviation gain / sqrt(fan_in); gain sqrt(2) is He's for ReLU, 0 gives zeros.
  at::Tensor normal(const std::string& name, at::IntArrayRef shape, double gain, int64_t fan_in);
  at::Tensor constant(const std::string& name, at::IntArrayRef shape, double value);
  /// A tensor that something else made, say a TorchScript module, and goes on using.
  void adopt(const std::string& name, at::Tensor value) { add(name, std::move(value)); }

  const NamedTensors& named() const { return tensors_; }
  /// The tensors whose name starts with `prefix`.
  std::vector<at::Tensor> with_prefix(const std::string& prefix) const;
  std::vector<at::Tensor> all() const { return with_prefix(""); }
  /// These values, one for each tensor, by the tensors' names: an average, a snapshot.
  NamedTensors named_as(const std::vector<at::Tensor>& values) const;
  int64_t count() const;  ///< numbers in all tensors

  /// In place: layers that hold these tensors see the change.
  void to(at::Device device, at::ScalarType dtype);
  void require_grad(bool on, const std::string& prefix = "");

 private:
  at::Tensor add(const std::string& name, at::Tensor value);
  std::optional<uint64_t> seed_;
  NamedTensors tensors_;
};

/// Standard normals of a Philox stream, drawn on the CPU and moved: the same on every device and for any thread count.
at::Tensor normal_tensor(Random& random, at::IntArrayRef shape, at::Device device = at::kCPU);

/// Copies values between lists of equal names and shapes, under no_grad; tensors keep their identity.
void copy_values(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to);
std::vector<at::Tensor> clone_values(const std::vector<at::Tensor>& tensors);

/// Tensor <-> file. `dtype` converts floating tensors on the way out (f16 for shipped checkpoints).
TensorData to_data(const at::Tensor& tensor);
at::Tensor from_data(const TensorData& data);
void put(TensorFile& file, const NamedTensors& tensors, at::ScalarType dtype = at::kFloat, const std::string& prefix = "");
/// A tensor of a training state; model_error where the file `where` has none of that name.
at::Tensor stored(const TensorFile& state, const std::string& name, const std::string& where);
/// Strict: every parameter must be in the file with its shape and finite values, and with `exact` the file may hold nothing else under
/// `prefix`. model_error names the first tensor that is missing, extra, of another shape or not finite.
void load(const NamedTensors& tensors, const TensorFile& file, const std::string& where, const std::string& prefix = "", bool exact = true);
inline void load(const Params& params, const TensorFile& file, const std::string& where, const std::string& prefix = "",
                 bool exact = true) {
  load(params.named(), file, where, prefix, exact);
}

}  // namespace finpercep
