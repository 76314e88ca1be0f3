// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/musiq.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int64_t patch = 32, grid = 10, dim = 384, mlp = 1152, heads = 6, depth = 14, norm_groups = 32;
constexpr double root_eps = 1e-6, block_eps = 1e-4;

// TensorFlow's SAME padding: the odd pixel goes right and bottom.
at::Tensor pad_same(const at::Tensor& x, int64_t kernel, int64_t stride) {
  const auto missing = [&](int64_t n) { return std::max<int64_t>(((n + stride - 1) / stride - 1) * stride + kernel - n, 0); };
  const int64_t rows = missing(x.size(2)), columns = missing(x.size(3));
  return at::constant_pad_nd(x, {columns / 2, columns - columns / 2, rows / 2, rows - rows / 2}, 0);
}

at::Tensor same_conv(const Conv& conv, const at::Tensor& x) { return conv(pad_same(x, conv.weight.size(2), conv.stride)); }

// For each of `count` patches along a side, the cell of the grid of positions: nearest neighbour.
at::Tensor cells(int64_t count, const at::TensorOptions& options) {
  return at::upsample_nearest1d(at::arange(grid, options).view({1, 1, grid}), at::IntArrayRef(count)).view({count}).to(at::kLong);
}

Conv conv_of(Params& params, const std::string& name, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
  return {params.constant(name + ".weight", {out, in, kernel, kernel}, 0), {}, stride, 0, 1};
}

void standardise(const at::Tensor& weight) {
  weight.sub_(weight.mean({1, 2, 3}, true));
  weight.div_(at::std(weight, {1, 2, 3}, true, true) + 1e-5);
}

}  // namespace

Musiq Musiq::load(const std::string& trained_on, at::Device device) {
  const auto path = weight_file("musiq-" + trained_on);
  return from(read_safetensors(path, Checksum::if_present), path.string(), device);
}

Musiq Musiq::from(const TensorFile& file, const std::string& where, at::Device device) {
  Params params(std::nullopt);
  Musiq m;
  m.root = conv_of(params, "conv_root", 3, 64, 7, 2);
  m.root_norm = make_group_norm(params, "gn_root", 64, norm_groups, root_eps);
  m.conv1 = conv_of(params, "block1.conv1", 64, 64, 1);
  m.norm1 = make_group_norm(params, "block1.gn1", 64, norm_groups, block_eps);
  m.conv2 = conv_of(params, "block1.conv2", 64, 64, 3);
  m.norm2 = make_group_norm(params, "block1.gn2", 64, norm_groups, block_eps);
  m.conv3 = conv_of(params, "block1.conv3", 64, 256, 1);
  m.norm3 = make_group_norm(params, "block1.gn3", 256, norm_groups, block_eps);
  m.shortcut = conv_of(params, "block1.conv_proj", 64, 256, 1);
  m.shortcut_norm = make_group_norm(params, "block1.gn_proj", 256, norm_groups, block_eps);
  m.embedding = make_linear(params, "embedding", 256 * (patch / 4) * (patch / 4), dim, 0);
  const std::string encoder = "transformer_encoder.";
  m.positions = params.constant(encoder + "posembed_input.position_emb", {1, grid * grid, dim}, 0);
  m.scales = params.constant(encoder + "scaleembed_input.scale_emb", {3, dim}, 0);
  m.class_token = params.constant(encoder + "cls", {1, 1, dim}, 0);
  m.final_norm = make_layer_norm(params, encoder + "encoder_norm", dim, 1e-6);
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name = fmt::format("{}transformer.encoderblock_{}.", encoder, i);
    m.blocks.push_back(
        {make_layer_norm(params, name + "norm1", dim, 1e-6), make_layer_norm(params, name + "norm2", dim, 1e-6),
         make_linear(params, name + "attention.query", dim, dim, 0), make_linear(params, name + "attention.key", dim, dim, 0),
         make_linear(params, name + "attention.value", dim, dim, 0), make_linear(params, name + "attention.out", dim, dim, 0),
         make_linear(params, name + "mlp.fc1", dim, mlp, 0), make_linear(params, name + "mlp.fc2", mlp, dim, 0)});
  }
  // AVA's head has ten grades and a softmax after it, which makes it "head.0" in the file.
  const bool graded = file.tensors.contains("head.0.weight");
  m.head = make_linear(params, graded ? "head.0" : "head", dim, graded ? 10 : 1, 0);
  finpercep::load(params, file, where);
  at::NoGradGuard no_grad;
  for (const Conv* conv : {&m.root, &m.conv1, &m.conv2, &m.conv3, &m.shortcut}) standardise(conv->weight);
  params.to(device, at::kFloat);
  return m;
}

at::Tensor Musiq::operator()(const at::Tensor& image) const {
  if (image.dim() != 4 || image.size(1) != 3) throw input_error("musiq: expected a batch with 3 channels");
  const int64_t count = image.size(0), height = image.size(2), width = image.size(3);
  const at::Tensor x = image * 2 - 1;
  std::vector<at::Tensor> tokens = {class_token.expand({count, 1, dim})};
  const int64_t sides[] = {224, 384, 0};  // 0: native
  for (int64_t scale = 0; scale < 3; ++scale) {
    at::Tensor picture = x;
    if (sides[scale] > 0) {
      const double ratio = static_cast<double>(sides[scale]) / static_cast<double>(std::max(height, width));
      const auto resized = [&](int64_t n) { return std::max<int64_t>(1, std::llrint(static_cast<double>(n) * ratio)); };
      picture = at::upsample_bicubic2d(x, {resized(height), resized(width)}, false);
    }
    picture = pad_same(picture, patch, patch);
    const int64_t rows = picture.size(2) / patch, columns = picture.size(3) / patch;
    at::Tensor h =
        picture.unflatten(2, {rows, patch}).unflatten(4, {columns, patch}).permute({0, 2, 4, 1, 3, 5}).reshape({-1, 3, patch, patch});
    h = at::relu(root_norm(same_conv(root, h)));
    h = at::max_pool2d(pad_same(h, 3, 2), 3, 2);
    at::Tensor y = at::relu(norm1(same_conv(conv1, h)));
    y = at::relu(norm2(same_conv(conv2, y)));
    h = at::relu(norm3(same_conv(conv3, y)) + shortcut_norm(same_conv(shortcut, h)));
    h = embedding(h.permute({0, 2, 3, 1}).reshape({count, rows * columns, -1}));  // TensorFlow's order of channels
    const at::Tensor cell = (cells(rows, h.options()).unsqueeze(1) * grid + cells(columns, h.options())).flatten();
    tokens.push_back(h + positions[0].index_select(0, cell) + scales[scale]);
  }
  at::Tensor h = at::cat(tokens, 1);
  for (const Block& block : blocks) {
    const at::Tensor n = block.norm1(h);
    h = h + block.out(attend(block.query(n), block.key(n), block.value(n), heads));
    h = h + block.fc2(at::gelu(block.fc1(block.norm2(h))));
  }
  const at::Tensor out = head(final_norm(h.select(1, 0)));
  if (out.size(1) == 1) return out.squeeze(1);
  return at::matmul(out.softmax(1), at::arange(1, 11, out.options()));
}

}  // namespace finpercep
