// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/super_resolver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/text.h"
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

SuperResolver bicubic(int scale) {
  return [scale](const Image& lr, uint64_t) {
    Image out = resize(lr, lr.width * scale, lr.height * scale, Resize::bicubic);
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

bool is_file(const std::string& name) {
  std::error_code none;
  return std::filesystem::is_regular_file(name, none);
}

struct Stepped {
  std::string name, suffix;  // NAME and "@N", N as it was given; the suffix is empty where there is none
};

// NAME@N, unless a file has that name.
Stepped split_steps(const std::string& given) {
  const std::size_t at = given.rfind('@');
  if (at == std::string::npos || is_file(given)) return {given, ""};
  return {given.substr(0, at), given.substr(at)};
}

// N of a suffix "@N", `usual` without one.
int64_t number_of(const std::string& given, const std::string& suffix, int64_t usual, int64_t most, const char* what) {
  if (suffix.empty()) return usual;
  const std::string text = suffix.substr(1);
  const auto number = parse_number<int64_t>(text);
  if (!number || *number < 1 || *number > most)
    throw usage_error(fmt::format("generator: {}: expected {} from 1 to {} after the @, found '{}'", given, what, most, text));
  return *number;
}

SuperResolver trained(const std::string& given, const Stepped& split, const UpscaleOptions& options) {
  const std::string& name = split.name;
  const int64_t steps = number_of(given, split.suffix, 0, 1000, "steps");
  const auto shipped = shipped_models();
  if (!is_file(name) && std::ranges::find(shipped, name, [](const auto& path) { return path.stem().string(); }) == shipped.end()) {
    const std::vector<std::string> names = generator_names();
    const std::string near = nearest(name, names);
    throw model_error(fmt::format("generator: '{}': expected a file or one of: {}; found neither{}", name, fmt::join(names, ", "),
                                  near.empty() ? "" : fmt::format(". did you mean '{}'?", near)));
  }
  std::shared_ptr<Generator> generator = load_generator(name, options.compute.device);
  if (steps > 0 && generator->settings.direct())
    throw usage_error(fmt::format("generator: {}: expected no @N, found one. a direct net has no steps", given));
  if (steps > 0) generator->schedule = chain_of(generator->settings, steps);
  const SuperResolver net = generator->sees_lr
                                ? direct(for_pictures(generator, options.compute), options)
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
  const std::string name = split_steps(given).name;
  if (is_public_net(name)) {
    std::filesystem::path file = ncnn_weight_file(name);
    const std::vector<std::byte> net = read_file(file, limit), weights = read_file(file.replace_extension(".bin"), limit);
    return hash_of({net, weights});
  }
  if (is_file(name)) return hash_of(read_file(name, limit));
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
  if (is_public_net(name)) return direct(for_pictures(load_public_net(name), options.compute), options);
  const Stepped split = split_steps(name);
  if (split.name == "bicubic") return bicubic(static_cast<int>(number_of(name, split.suffix, direct_scale, 8, "a factor")));
  if (!split.suffix.empty() && is_public_net(split.name))
    throw usage_error(fmt::format("generator: {}: expected {} alone, which has no steps. leave out {}", name, split.name, split.suffix));
  if (std::filesystem::is_directory(name, none))
    throw usage_error(fmt::format(
        "generator: {}: expected a name or a file, found a folder. pictures made elsewhere are compared by eval --set NAME=LQ:GT:SR",
        name));
  if (may_be_torchscript(name)) return load_torchscript(name, options);
  return trained(name, split, options);
}

}  // namespace finpercep
