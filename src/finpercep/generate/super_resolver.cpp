// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/super_resolver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/generate/generator.h"
#include "finpercep/generate/tiles.h"
#include "finpercep/generate/torchscript.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/rrdb.h"
#include "finpercep/nets/srvgg.h"

namespace finpercep {

namespace {

SuperResolver bicubic() {
  return [](const Image& lr, uint64_t) {
    Image out = resize(lr, lr.width * 4, lr.height * 4, Resize::bicubic);
    clamp_unit(out);
    return out;
  };
}

template <class Net, class Settings>
DirectNet load_net(const NcnnGraph& graph, const Settings& settings, const std::string& where, const Compute& compute) {
  Params params(0);
  const auto net = std::make_shared<Net>(params, settings, 0);
  load_ncnn(*net, graph, where);
  if (compute.device.is_cpu() && compute.dtype == at::kFloat) return compiled(*net);
  params.to(compute.device, compute.dtype);
  for (at::Tensor& weight : params.all())
    if (weight.dim() == 4) weight.set_data(weight.contiguous(at::MemoryFormat::ChannelsLast));
  return [net, compute](const at::Tensor& lr) { return (*net)(lr.to(compute.device, compute.dtype)); };
}

SuperResolver direct(const DirectNet& net, const UpscaleOptions& options) {
  return [net, options](const Image& lr, uint64_t) {
    at::NoGradGuard no_grad;
    const at::Tensor whole = to_tensor(lr);
    const at::Tensor sr = in_tiles(lr.height, lr.width, direct_scale, options.tile, 1, [&](const Tile& tile) {
      return net(whole.narrow(2, tile.top, tile.height).narrow(3, tile.left, tile.width));
    });
    return to_image(sr.clamp(0, 1).contiguous());
  };
}

// NAME@N, unless a file has that name.
std::pair<std::string, int64_t> split_steps(const std::string& name) {
  std::error_code none;
  const std::size_t at = name.rfind('@');
  int64_t steps = 0;
  if (at == std::string::npos || at + 1 == name.size() || std::filesystem::is_regular_file(name, none)) return {name, 0};
  const auto [end, problem] = std::from_chars(name.data() + at + 1, name.data() + name.size(), steps);
  if (problem != std::errc() || end != name.data() + name.size() || steps < 1 || steps > 1000)
    throw usage_error(fmt::format("generator: {}: expected 1 to 1000 steps after the @, found '{}'", name, name.substr(at + 1)));
  return {name.substr(0, at), steps};
}

SuperResolver trained(const std::string& given, const UpscaleOptions& options) {
  const auto [name, steps] = split_steps(given);
  std::error_code none;
  const auto shipped = shipped_models();
  if (!std::filesystem::is_regular_file(name, none) &&
      std::ranges::find(shipped, name, [](const auto& path) { return path.stem().string(); }) == shipped.end()) {
    const std::vector<std::string> names = generator_names();
    const std::string near = nearest(name, names);
    throw model_error(fmt::format("generator: '{}': expected a file or one of: {}; found neither{}", name, fmt::join(names, ", "),
                                  near.empty() ? "" : fmt::format(". did you mean '{}'?", near)));
  }
  std::shared_ptr<Generator> generator = load_generator(name, options.compute.device);
  if (steps > 0) generator->schedule = chain_of(generator->settings, steps);
  return [generator, options](const Image& lr, uint64_t seed) { return upscale(*generator, lr, seed, options); };
}

}  // namespace

const std::vector<PublicNet>& public_nets() {
  static const std::vector<PublicNet> nets = {
      {"realesrgan-x4plus", "RRDB"}, {"realesrgan-x4plus-anime", "RRDB"}, {"realesr-animevideov3", "SRVGG"}};
  return nets;
}

std::vector<std::string> generator_names() {
  std::vector<std::string> names = {"bicubic"};
  for (const PublicNet& net : public_nets()) names.push_back(net.name);
  for (const auto& path : shipped_models())
    if (read_safetensors(path, Checksum::if_present).metadata["kind"] == "generator") names.push_back(path.stem().string());
  return names;
}

DirectNet load_public_net(const std::string& name, const Compute& compute) {
  const auto found = std::ranges::find(public_nets(), name, &PublicNet::name);
  TORCH_CHECK(found != public_nets().end(), "load_public_net: ", name, " is none");
  const auto file = ncnn_weight_file(name);
  const NcnnGraph graph = read_ncnn(file);
  if (found->kind == "SRVGG") return load_net<SRVGG>(graph, srvgg_settings(graph, file.string()), file.string(), compute);
  return load_net<RRDB>(graph, rrdb_settings(graph, file.string()), file.string(), compute);
}

SuperResolver make_super_resolver(const std::string& name, const UpscaleOptions& options) {
  std::error_code none;
  if (name == "bicubic") return bicubic();
  if (std::ranges::find(public_nets(), name, &PublicNet::name) != public_nets().end())
    return direct(load_public_net(name, options.compute), options);
  if (std::filesystem::is_directory(name, none))
    throw usage_error(fmt::format(
        "generator: {}: expected a name or a file, found a folder. pictures made elsewhere are compared by eval --set NAME=LQ:GT:SR",
        name));
  if (may_be_torchscript(name)) return load_torchscript(name, options);
  return trained(name, options);
}

}  // namespace finpercep
