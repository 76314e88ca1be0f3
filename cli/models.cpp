// SPDX-License-Identifier: Apache-2.0
// finpercep models | metrics | weights: what is there.
#include <fmt/format.h>

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

void add_metrics(CLI::App& program) {
  program.add_subcommand("metrics", "list the metrics: direction, range, what they need")->callback([] {
    print("finpercep\thigher is better\t[0, 1]\tno reference\tFinPercep-RM: score, map_max, map_mean (the map: lower is better)\n");
    for (const MetricInfo& metric : metric_list())
      print(fmt::format("{}\t{} is better\t{}\t{}\t{}\n", metric.name, metric.higher_is_better ? "higher" : "lower", metric.range,
                        metric.needs_reference ? "reference" : "no reference", metric.definition));
  });
}

void add_weights(CLI::App& program) {
  program.add_subcommand("weights", "list the pretrained weights in the cache")->callback([] {
    for (const char* name : {"efficientnet_lite0", "lpips_alex", "lpips_vgg"}) {
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
