// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/dino.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numbers>

#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int64_t grid = 37;  // DINOv2's last training stage: 518 pixels

// Rotary positions of DINOv3: a head's channels are two halves that are turned as pairs; of a half, the first 8 angles follow y, the last 8
// x. Coordinates are those of patch centres, each side spanning [-1, 1]. The prefix tokens are not turned.
struct Rotation {
  at::Tensor cosine, sine;  // T x 1 x 32

  at::Tensor operator()(const at::Tensor& t) const {  // N x T x C
    const auto halves = t.unflatten(2, {Dino::heads, 2, Dino::width / Dino::heads / 2}).unbind(3);
    return at::stack({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, 3).flatten(2);
  }
};

Rotation rotation_of(int64_t rows, int64_t columns, int64_t prefix, const at::TensorOptions& options) {
  constexpr int64_t frequencies = Dino::width / Dino::heads / 4;
  constexpr double base = 100;
  const auto turns = [&](int64_t count) {  // count x frequencies
    const at::Tensor centre = 2 * (at::arange(count, options) + 0.5) / count - 1;
    const at::Tensor frequency = at::pow(at::full({frequencies}, 1 / base, options), at::arange(frequencies, options) / frequencies);
    return 2 * std::numbers::pi * centre.unsqueeze(1) * frequency;
  };
  const at::Tensor y = turns(rows).unsqueeze(1).expand({rows, columns, frequencies}),
                   x = turns(columns).unsqueeze(0).expand({rows, columns, frequencies});
  const at::Tensor angle = at::constant_pad_nd(at::cat({y, x}, 2).flatten(0, 1), {0, 0, prefix, 0}, 0).unsqueeze(1);
  return {at::cos(angle), at::sin(angle)};
}

at::Tensor resampled_positions(const at::Tensor& positions, int64_t rows, int64_t columns) {
  if (rows == grid && columns == grid) return positions;
  const at::Tensor cells = positions.narrow(1, 1, grid * grid).transpose(1, 2).unflatten(2, {grid, grid});
  const at::Tensor resampled = at::upsample_bicubic2d(cells, {rows, columns}, false).flatten(2).transpose(1, 2);
  return at::cat({positions.narrow(1, 0, 1), resampled}, 1);
}

void copy_linear(const Linear& linear, const TensorFile& file, const std::string& where, const std::string& name,
                 const at::Tensor& scale = {}) {
  const at::Tensor weight = tensor_of(file, where, name + ".weight", linear.weight.sizes()),
                   bias = tensor_of(file, where, name + ".bias", linear.bias.sizes());
  linear.weight.copy_(scale.defined() ? weight * scale.unsqueeze(1) : weight);
  linear.bias.copy_(scale.defined() ? bias * scale : bias);
}

void copy_norm(const LayerNorm& norm, const TensorFile& file, const std::string& where, const std::string& name) {
  norm.weight.copy_(tensor_of(file, where, name + ".weight", norm.weight.sizes()));
  norm.bias.copy_(tensor_of(file, where, name + ".bias", norm.bias.sizes()));
}

}  // namespace

Dino::Dino(Params& params, DinoVersion version, const std::string& prefix)
    : patch(version == DinoVersion::v2 ? 14 : 16), registers(version == DinoVersion::v2 ? 0 : 4) {
  const double eps = version == DinoVersion::v2 ? 1e-6 : 1e-5;
  patches = make_linear(params, prefix + "patches", 3 * patch * patch, width, 0);
  prefix_tokens = params.constant(prefix + "prefix_tokens", {1, 1 + registers, width}, 0);
  if (version == DinoVersion::v2) positions = params.constant(prefix + "positions", {1, 1 + grid * grid, width}, 0);
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name = fmt::format("{}blocks.{}.", prefix, i);
    blocks.push_back({make_layer_norm(params, name + "norm1", width, eps), make_layer_norm(params, name + "norm2", width, eps),
                      make_linear(params, name + "qkv", width, 3 * width, 0), make_linear(params, name + "out", width, width, 0),
                      make_linear(params, name + "fc", width, 4 * width, 0), make_linear(params, name + "project", 4 * width, width, 0),
                      heads});
  }
  norm = make_layer_norm(params, prefix + "norm", width, eps);
}

std::vector<at::Tensor> Dino::tokens(const at::Tensor& image, const std::vector<int64_t>& layers, bool normed) const {
  const bool rising = std::ranges::adjacent_find(layers, std::greater_equal<>()) == layers.end();
  TORCH_CHECK(!layers.empty() && layers.front() >= 1 && layers.back() <= depth && rising, "Dino: expected rising layers of 1..", depth,
              ", found ", layers);
  const int64_t count = image.size(0), rows = (image.size(2) + patch - 1) / patch, columns = (image.size(3) + patch - 1) / patch,
                prefix = 1 + registers;
  const auto [mean, deviation] = imagenet_statistics(image.device());
  const at::Tensor padded = at::replication_pad2d(image, {0, columns * patch - image.size(3), 0, rows * patch - image.size(2)});
  // The patches do not overlap: their convolution is a product, faster than at::conv2d of such a kernel.
  const at::Tensor cells = ((padded - mean) / deviation)
                               .reshape({count, 3, rows, patch, columns, patch})
                               .permute({0, 2, 4, 1, 3, 5})
                               .reshape({count, rows * columns, 3 * patch * patch});
  at::Tensor x = at::cat({prefix_tokens.expand({count, prefix, width}), patches(cells).to(at::kFloat)}, 1);
  std::function<at::Tensor(const at::Tensor&)> turn;
  if (positions.defined()) x = x + resampled_positions(positions, rows, columns);
  else turn = rotation_of(rows, columns, prefix, x.options());

  std::vector<at::Tensor> found;
  for (std::size_t i = 0; i < blocks.size() && found.size() < layers.size(); ++i) {
    x = blocks[i](std::move(x), turn);
    if (static_cast<int64_t>(i) + 1 == layers[found.size()])
      found.push_back((normed ? norm(x) : x).narrow(1, prefix, rows * columns).transpose(1, 2).unflatten(2, {rows, columns}));
  }
  return found;
}

void load_dino(const Dino& net, const TensorFile& file, const std::string& where) {
  at::NoGradGuard no_grad;
  const int64_t width = Dino::width;
  net.patches.weight.copy_(tensor_of(file, where, "patch_embed.proj.weight", {width, 3, net.patch, net.patch}).flatten(1));
  net.patches.bias.copy_(tensor_of(file, where, "patch_embed.proj.bias", {width}));
  net.prefix_tokens.narrow(1, 0, 1).copy_(tensor_of(file, where, "cls_token", {1, 1, width}));
  if (net.registers > 0)
    net.prefix_tokens.narrow(1, 1, net.registers).copy_(tensor_of(file, where, "storage_tokens", {1, net.registers, width}));
  if (net.positions.defined()) net.positions.copy_(tensor_of(file, where, "pos_embed", net.positions.sizes()));
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    const TransformerBlock& block = net.blocks[i];
    const std::string name = fmt::format("blocks.{}.", i);
    copy_norm(block.norm1, file, where, name + "norm1");
    copy_norm(block.norm2, file, where, name + "norm2");
    copy_linear(block.qkv, file, where, name + "attn.qkv");
    copy_linear(block.out, file, where, name + "attn.proj", tensor_of(file, where, name + "ls1.gamma", {width}));
    copy_linear(block.fc, file, where, name + "mlp.fc1");
    copy_linear(block.project, file, where, name + "mlp.fc2", tensor_of(file, where, name + "ls2.gamma", {width}));
  }
  copy_norm(net.norm, file, where, "norm");
}

std::filesystem::path dino_weight_file(DinoVersion version) {
  return weight_file(version == DinoVersion::v2 ? "dinov2_vits14" : "dinov3_vits16");
}

void load_pretrained(const Dino& net, DinoVersion version) {
  const std::filesystem::path path = dino_weight_file(version);
  load_dino(net, read_safetensors(path, Checksum::if_present), path.string());
}

}  // namespace finpercep
