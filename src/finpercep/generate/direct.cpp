// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/direct.h"

#include <algorithm>

#include "finpercep/nets/layout.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

template <class Net, class Settings>
DirectNet ready(const Settings& settings, const std::vector<at::Tensor>& weights, const Compute& compute) {
  Params params(0);
  const auto net = std::make_shared<Net>(params, settings, 0);
  copy_values(weights, params.all());
  if (compute.device.is_cpu() && compute.dtype == at::kFloat) return compiled(*net);
  params.to(compute.device, compute.dtype);
  channels_last(params);
  return [net, compute](const at::Tensor& lr) { return (*net)(lr.to(compute.device, compute.dtype)); };
}

template <class Net, class Settings>
void read_weights(const Settings& settings, const NcnnGraph& graph, const std::string& where, Generator& to) {
  Params params(0);
  load_ncnn(Net(params, settings, 0), graph, where);
  copy_values(params.all(), to.params.all());
}

}  // namespace

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
  GeneratorSettings settings;
  settings.policy = "direct";
  settings.type = found->type;
  if (found->type == "srvgg") settings.srvgg = srvgg_settings(graph, file);
  else settings.rrdb = rrdb_settings(graph, file);
  auto generator = std::make_unique<Generator>(settings);
  if (found->type == "srvgg") read_weights<SRVGG>(settings.srvgg, graph, file, *generator);
  else read_weights<RRDB>(settings.rrdb, graph, file, *generator);
  return generator;
}

DirectNet for_pictures(const Generator& generator, const Compute& compute) {
  const GeneratorSettings& s = generator.settings;
  return s.type == "srvgg" ? ready<SRVGG>(s.srvgg, generator.params.all(), compute) : ready<RRDB>(s.rrdb, generator.params.all(), compute);
}

}  // namespace finpercep
