// SPDX-License-Identifier: Apache-2.0
// finpercep models | weights: what is there.
#include <fmt/format.h>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/ncnn.h"
#include "finpercep/generate/direct.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

void print_public_net(const PublicNet& net) {
  try {
    const auto path = ncnn_weight_file(net.name);
    std::size_t numbers = 0;
    for (const NcnnLayer& layer : read_ncnn(path).layers)
      for (const auto& values : layer.weights) numbers += values.size();
    print(fmt::format("{}\tgenerator ({})\t{:.2f} M parameters\t{}\n", net.name, net.type, static_cast<double>(numbers) / 1e6,
                      path.string()));
  } catch (const Error& error) {
    print(fmt::format("{}\tgenerator ({})\tmissing\t{}\n", net.name, net.type, error.what()));
  }
}

void print_weights(const std::string& name, std::filesystem::path (*find)(const std::string&),
                   void (*check)(const std::filesystem::path&)) {
  const char* fault = "missing";
  try {
    const auto path = find(name);
    fault = "damaged";
    check(path);
    print(fmt::format("{}\tok\t{}\n", name, path.string()));
  } catch (const Error& error) {
    print(fmt::format("{}\t{}\t{}\n", name, fault, error.what()));
  }
}

}  // namespace

void add_models(CLI::App& program) {
  program.add_subcommand("models", "list the shipped models and the public nets that make pictures")->callback([] {
    for (const auto& path : shipped_models()) try {
        const TensorFile file = read_safetensors(path, Checksum::required);
        int64_t numbers = 0;
        for (const auto& [name, tensor] : file.tensors) numbers += static_cast<int64_t>(tensor.bytes.size() / byte_size(tensor.dtype));
        const auto kind = file.metadata.find("kind");
        print(fmt::format("{}\t{}\t{:.2f} M parameters\t{}\n", path.stem().string(), kind == file.metadata.end() ? "?" : kind->second,
                          static_cast<double>(numbers) / 1e6, path.string()));
      } catch (const Error& error) {
        print(fmt::format("{}\tdamaged\t{}\n", path.stem().string(), error.what()));
      }
    for (const PublicNet& net : public_nets()) print_public_net(net);
  });
}

void add_weights(CLI::App& program) {
  program.add_subcommand("weights", "list the pretrained weights in the cache")->callback([] {
    for (const PretrainedWeights& weights : pretrained_weights())
      print_weights(weights.name, weight_file, [](const std::filesystem::path& path) { read_safetensors(path, Checksum::if_present); });
    for (const PublicNet& net : public_nets())
      print_weights(net.name, ncnn_weight_file, [](const std::filesystem::path& path) { read_ncnn(path); });
  });
}

}  // namespace finpercep
