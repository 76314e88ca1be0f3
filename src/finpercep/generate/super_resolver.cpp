// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/super_resolver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/generate/direct.h"
#include "finpercep/generate/generator.h"
#include "finpercep/generate/tiles.h"
#include "finpercep/generate/torchscript.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

SuperResolver bicubic() {
  return [](const Image& lr, uint64_t) {
    Image out = resize(lr, lr.width * 4, lr.height * 4, Resize::bicubic);
    clamp_unit(out);
    return out;
  };
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
  if (steps > 0 && generator->settings.policy == "direct")
    throw usage_error(fmt::format("generator: {}: expected no @N, found one. a direct net has no steps", given));
  if (steps > 0) generator->schedule = chain_of(generator->settings, steps);
  const SuperResolver net = generator->sees_lr
                                ? direct(for_pictures(*generator, options.compute), options)
                                : [generator, options](const Image& lr, uint64_t seed) { return upscale(*generator, lr, seed, options); };
  // Weights of a run that diverged may be finite and yet overflow in the net: files would hold black pictures.
  return [net, given](const Image& lr, uint64_t seed) {
    Image sr = net(lr, seed);
    if (std::ranges::any_of(sr.data, [](float v) { return std::isnan(v); }))
      throw model_error(fmt::format("generator: {}: expected pictures of finite numbers, found NaN. take an earlier checkpoint", given));
    return sr;
  };
}

}  // namespace

std::string weights_hash(const std::string& given) {
  constexpr uint64_t limit = uint64_t{1} << 36;
  const std::string name = split_steps(given).first;
  if (is_public_net(name)) {
    std::filesystem::path file = ncnn_weight_file(name);
    std::vector<std::byte> bytes = read_file(file, limit);
    const std::vector<std::byte> weights = read_file(file.replace_extension(".bin"), limit);
    bytes.insert(bytes.end(), weights.begin(), weights.end());
    return hash_of(bytes);
  }
  std::error_code none;
  if (std::filesystem::is_regular_file(name, none)) return hash_of(read_file(name, limit));
  for (const std::filesystem::path& path : shipped_models())
    if (path.stem() == name) return hash_of(read_file(path, limit));
  return "";
}

std::vector<std::string> generator_names() {
  std::vector<std::string> names = {"bicubic"};
  for (const PublicNet& net : public_nets()) names.push_back(net.name);
  for (std::string& name : shipped_names("generator")) names.push_back(std::move(name));
  return names;
}

SuperResolver make_super_resolver(const std::string& name, const UpscaleOptions& options) {
  std::error_code none;
  if (name == "bicubic") return bicubic();
  if (is_public_net(name)) return direct(for_pictures(*load_public_net(name), options.compute), options);
  const std::string before_at = name.substr(0, name.find('@'));
  if (before_at != name && (before_at == "bicubic" || is_public_net(before_at)))
    throw usage_error(
        fmt::format("generator: {}: expected {} alone, which has no steps. leave out {}", name, before_at, name.substr(before_at.size())));
  if (std::filesystem::is_directory(name, none))
    throw usage_error(fmt::format(
        "generator: {}: expected a name or a file, found a folder. pictures made elsewhere are compared by eval --set NAME=LQ:GT:SR",
        name));
  if (may_be_torchscript(name)) return load_torchscript(name, options);
  return trained(name, options);
}

}  // namespace finpercep
