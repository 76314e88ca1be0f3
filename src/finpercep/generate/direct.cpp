// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/direct.h"

#include <algorithm>

#include "finpercep/nets/layout.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

const std::vector<PublicNet>& public_nets() {
  static const std::vector<PublicNet> nets = {
      {"realesrgan-x4plus", "rrdb"}, {"realesrgan-x4plus-anime", "rrdb"}, {"realesr-animevideov3", "srvgg"}};
  return nets;
}

bool is_public_net(const std::string& name) { return std::ranges::find(public_nets(), name, &PublicNet::name) != public_nets().end(); }

std::unique_ptr<Generator> load_public_net(const std::string& name) {
  const auto found = std::ranges::find(public_nets(), name, &PublicNet::name);
  TORCH_CHECK(found != public_nets().end(), "load_public_net: ", name, " is none");
  const std::string file = ncnn_weight_file(name).string();
  const NcnnGraph graph = read_ncnn(file);
  const NetKind& kind = net_kind(found->type);
  GeneratorSettings settings;
  settings.policy = "direct";
  settings.type = kind.name;
  kind.read_size(graph, file, settings);
  auto generator = std::make_unique<Generator>(settings, std::nullopt);
  generator->net.load_ncnn(graph, file);
  return generator;
}

DirectNet for_pictures(std::shared_ptr<Generator> generator, const Compute& compute) {
  TORCH_CHECK(generator->net.direct, "for_pictures: expected a net that sees the LR picture, found type ", generator->settings.type);
  Params& params = generator->params;
  if (compute.device.is_cpu() && compute.dtype == at::kFloat) {
    // As weights lie in files. With channels last the layers that stay plain convolutions would take other kernels, which round otherwise.
    at::NoGradGuard no_grad;
    for (at::Tensor& weight : params.all()) weight.set_data(weight.contiguous());
    return generator->net.compiled();
  }
  params.to(compute.device, compute.dtype);
  channels_last(params);
  return [generator = std::move(generator), compute](const at::Tensor& lr) {
    return generator->net.direct(lr.to(compute.device));  // in float32: what a net adds to the picture itself is not rounded with it
  };
}

}  // namespace finpercep
