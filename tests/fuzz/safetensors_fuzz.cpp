// SPDX-License-Identifier: Apache-2.0
// Any bytes must either parse or give a model_error; what parses must encode and parse again to the same tensors. Built and run by run.sh.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/safetensors.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(first, first + size);
  for (const Checksum checksum : {Checksum::if_present, Checksum::required}) {
    TensorFile file;
    try {
      file = parse_safetensors(bytes, "fuzz", checksum);
    } catch (const Error& error) {
      if (error.code() != ExitCode::model) std::abort();
      continue;
    }
    const TensorFile again = parse_safetensors(encode_safetensors(file), "again", Checksum::required);
    if (again.tensors.size() != file.tensors.size()) std::abort();
    for (const auto& [name, tensor] : file.tensors) {
      const TensorData& other = again.tensors.at(name);
      if (other.dtype != tensor.dtype || other.shape != tensor.shape || other.bytes != tensor.bytes) std::abort();
    }
  }
  return 0;
}
