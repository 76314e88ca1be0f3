// SPDX-License-Identifier: Apache-2.0
// Any bytes must either parse or give a model_error; what parses has the weights that its layers declare. The part after the first zero
// byte is the .bin. Built and run by run.sh.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "finpercep/base/error.h"
#include "finpercep/base/ncnn.h"

using namespace finpercep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = text.find('\0');
  const auto bin = std::as_bytes(std::span(data, size)).subspan(zero == std::string_view::npos ? size : zero + 1);
  NcnnGraph graph;
  try {
    graph = parse_ncnn(text.substr(0, zero), bin, "fuzz");
  } catch (const Error& error) {
    if (error.code() != ExitCode::model || std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
    return 0;
  }
  for (const NcnnLayer& layer : graph.layers) {
    const std::size_t expected = layer.type == "Convolution" ? 1 + (layer.number(5, 0) != 0) : layer.type == "PReLU";
    if (layer.weights.size() != expected) std::abort();
    if (layer.type == "Convolution" && static_cast<double>(layer.weights[0].size()) != layer.number(6, 0)) std::abort();
    for (const auto& values : layer.weights)
      for (const float v : values)
        if (!std::isfinite(v)) std::abort();
  }
  return 0;
}
