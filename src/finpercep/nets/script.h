// SPDX-License-Identifier: Apache-2.0
// Nets as TorchScript source, for export. Tensors are attributes of the module: the parameter's name with '_' for '.'.
#pragma once
#include <string>
#include <vector>

#include "finpercep/nets/dino.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

std::string script_name(std::string parameter);

/// The call of a layer on the expression `x`.
std::string script(const Conv& conv, const std::string& name, const std::string& x, Activation activation = Activation::none);
std::string script(const GroupNorm& norm, const std::string& name, const std::string& x);
std::string linear_script(const std::string& name, const std::string& x);

/// Source line by line, each indented as the body of a method.
class MethodBody {
 public:
  explicit MethodBody(const std::string& head) : text_(head + "\n") {}
  void operator()(const std::string& statement) { text_ += "  " + statement + "\n"; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The first statements of a method that takes pictures `x`: refuses other shapes and types, and pictures of [-1,1] and 0..255, which get
/// credible answers and are the most frequent mistake (a twentieth of one's values far outside; what a net makes may lie a little outside);
/// casts to the type of the tensor `weight`.
void take_pictures(MethodBody& line, const std::string& x, const std::string& weight);

/// The bytes of a module that plain torch loads: those of its tensors that the methods name (one that never gets a gradient is an error
/// under DDP), under script_name of theirs, on the CPU in float32, its methods, and `facts`, JSON, as the extra file "finpercep.json".
/// Parameters do not train until they are told to; buffers never do.
std::string script_file(const std::string& type, const NamedTensors& parameters, const NamedTensors& buffers, const std::string& methods,
                        const std::string& facts);

/// The method `encoder(self, image: Tensor) -> List[Tensor]`: features at strides 2, 4, 8, 16, 32.
std::string encoder_script(const EfficientNetLite0& net, const std::string& prefix = "encoder.", std::size_t taps = 5);

/// The method `tokens(self, image: Tensor) -> List[Tensor]`: Dino::tokens of these layers, and the methods that it calls.
std::string tokens_script(const Dino& net, const std::vector<int64_t>& layers, const std::string& prefix = "dino.");

}  // namespace finpercep
