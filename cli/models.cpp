// SPDX-License-Identifier: Apache-2.0
// finpercep models | weights: what is there.
#include <fmt/format.h>

#include <set>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/metrics/registry.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

void add_models(CLI::App& program) {
  program.add_subcommand("models", "list the shipped models")->callback([] {
    for (const auto& path : shipped_models()) {
      const TensorFile file = read_safetensors(path, Checksum::required);
      int64_t numbers = 0;
      for (const auto& [name, tensor] : file.tensors) numbers += static_cast<int64_t>(tensor.bytes.size() / byte_size(tensor.dtype));
      const auto kind = file.metadata.find("kind");
      print(fmt::format("{}\t{}\t{:.2f} M parameters\t{}\n", path.stem().string(), kind == file.metadata.end() ? "?" : kind->second, static_cast<double>(numbers) / 1e6,
                        path.string()));
    }
  });
}

void add_weights(CLI::App& program) {
  program.add_subcommand("weights", "list the pretrained weights in the cache")->callback([] {
    std::set<std::string> names = {"efficientnet_lite0"};
    for (const MetricInfo& metric : metric_list()) names.insert(metric.weights.begin(), metric.weights.end());
    for (const std::string& name : names) {
      try {
        const auto path = weight_file(name);
        read_safetensors(path, Checksum::if_present);
        print(fmt::format("{}\tok\t{}\n", name, path.string()));
      } catch (const Error& error) {
        print(fmt::format("{}\tmissing\t{}\n", name, error.what()));
      }
    }
  });
}

}  // namespace finpercep
