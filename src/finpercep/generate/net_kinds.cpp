// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/net_kinds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/generate/generator.h"
#include "finpercep/nets/script_restore.h"

namespace finpercep {

namespace {

template <class Net, class Settings>
MadeNet on_noise(Params& params, const Settings& settings) {
  const auto net = std::make_shared<const Net>(params, settings);
  return {.restore = [net](const at::Tensor& x, const at::Tensor& y, const at::Tensor& time) { return (*net)(x, y, time); },
          .multiple = net->multiple(),
          .script = [net] { return script(*net); }};
}

template <class Net, class Settings>
MadeNet on_lr(Params& params, const Settings& settings) {
  const auto net = std::make_shared<const Net>(params, settings);
  return {
      .restore = [net](const at::Tensor&, const at::Tensor& y, const at::Tensor&) { return (*net)(lr_in(y, direct_scale)).to(at::kFloat); },
      .script = [net] { return script(*net); },
      .direct = [net](const at::Tensor& lr) { return (*net)(lr); },
      .compiled = [net] { return compiled(*net); },
      .load_ncnn = [net](const NcnnGraph& graph, const std::string& where) { load_ncnn(*net, graph, where); }};
}

// What the convolutions that make pictures on a CPU (nets/winograd.h) take.
void check_eights(const char* setting, int64_t channels) {
  if (channels % 8 != 0) throw usage_error(fmt::format("network_g.{}: expected a multiple of 8, found {}", setting, channels));
}

MadeNet make_unet(Params& params, const GeneratorSettings& settings) { return on_noise<UNet>(params, settings.net); }

MadeNet make_dit(Params& params, const GeneratorSettings& settings) { return on_noise<DiT>(params, settings.dit); }

MadeNet make_rrdb(Params& params, const GeneratorSettings& settings) {
  check_eights("rrdb.num_feat", settings.rrdb.features);
  check_eights("rrdb.num_grow_ch", settings.rrdb.growth);
  return on_lr<RRDB>(params, settings.rrdb);
}

MadeNet make_srvgg(Params& params, const GeneratorSettings& settings) {
  check_eights("srvgg.num_feat", settings.srvgg.features);
  return on_lr<SRVGG>(params, settings.srvgg);
}

void read_rrdb_size(const NcnnGraph& graph, const std::string& where, GeneratorSettings& settings) {
  settings.rrdb = rrdb_settings(graph, where);
}

void read_srvgg_size(const NcnnGraph& graph, const std::string& where, GeneratorSettings& settings) {
  settings.srvgg = srvgg_settings(graph, where);
}

}  // namespace

const std::vector<NetKind>& net_kinds() {
  static const std::vector<NetKind> kinds = {
      {"unet", false, make_unet, nullptr},
      {"dit", false, make_dit, nullptr},
      {"rrdb", true, make_rrdb, read_rrdb_size},
      {"srvgg", true, make_srvgg, read_srvgg_size},
  };
  return kinds;
}

const NetKind& net_kind(const std::string& name) {
  const auto found = std::ranges::find(net_kinds(), name, &NetKind::name);
  if (found != net_kinds().end()) return *found;
  std::vector<std::string> names;
  for (const NetKind& kind : net_kinds()) names.push_back(kind.name);
  throw usage_error(fmt::format("network_g.type: expected one of {}, found '{}'", fmt::join(names, ", "), name));
}

at::Tensor lr_in(const at::Tensor& y, int64_t scale) {
  return y.slice(2, 0, std::nullopt, scale).slice(3, 0, std::nullopt, scale).contiguous();
}

}  // namespace finpercep
