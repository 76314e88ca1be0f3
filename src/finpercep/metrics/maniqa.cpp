// SPDX-License-Identifier: Apache-2.0
#include "finpercep/metrics/maniqa.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

namespace {

constexpr int64_t side = 224, patch = 8, cells = side / patch, tokens = cells * cells, width = 768, vit_heads = 12, narrow = width / 2,
                  mlp = 768;
constexpr int64_t first_tap = 6, taps = 4, attentions = 2;  // the tower ends with its last tap
constexpr int64_t crop_rows = 4, crop_columns = 5, steps = 4;
constexpr double vit_eps = 1e-6;

double scale_of(const std::string& trained_on) {
  if (trained_on == "koniq" || trained_on == "kadid") return .8;
  if (trained_on == "pipal") return .13;
  throw usage_error(fmt::format("maniqa: trained on: expected koniq, pipal or kadid, found '{}'", trained_on));
}

Maniqa::Stage make_stage(Params& params, int64_t number, int64_t in, int64_t out, double scale) {
  std::vector<Maniqa::ChannelAttention> attention;
  for (int64_t i = 0; i < attentions; ++i) {
    const std::string name = fmt::format("tablock{}.{}.", number, i);
    attention.push_back({make_linear(params, name + "c_q", tokens, tokens, 0), make_linear(params, name + "c_k", tokens, tokens, 0),
                         make_linear(params, name + "c_v", tokens, tokens, 0)});
  }
  const Conv conv = make_conv(params, fmt::format("conv{}", number), in, out, 1, {.gain = 0});
  return {std::move(attention), conv, Swin(params, fmt::format("swintransformer{}.", number), out, mlp, scale)};
}

// x: N x C x tokens. The result of the attention is transposed and read in its old shape, which mixes channels and places; the weights were
// trained with that.
at::Tensor attend_channels(const Maniqa::ChannelAttention& a, const at::Tensor& x) {
  return x + attend(a.query(x), a.key(x), a.value(x), 1).transpose(1, 2).reshape(x.sizes());
}

}  // namespace

Maniqa Maniqa::load(const std::string& trained_on, at::Device device) {
  const auto path = weight_file("maniqa-" + trained_on);
  return from(read_safetensors(path, Checksum::if_present), path.string(), trained_on, device);
}

Maniqa Maniqa::from(const TensorFile& file, const std::string& where, const std::string& trained_on, at::Device device) {
  const double scale = scale_of(trained_on);
  Params params(std::nullopt);
  Maniqa m;
  m.embedding = {params.constant("vit.patch_embed.proj.weight", {width, 3, patch, patch}, 0),
                 params.constant("vit.patch_embed.proj.bias", {width}, 0), patch, 0, 1};
  m.class_token = params.constant("vit.cls_token", {1, 1, width}, 0);
  m.positions = params.constant("vit.pos_embed", {1, tokens + 1, width}, 0);
  for (int64_t i = 0; i < first_tap + taps; ++i) {
    const std::string name = fmt::format("vit.blocks.{}.", i);
    m.blocks.push_back({make_layer_norm(params, name + "norm1", width, vit_eps), make_layer_norm(params, name + "norm2", width, vit_eps),
                        make_linear(params, name + "attn.qkv", width, 3 * width, 0),
                        make_linear(params, name + "attn.proj", width, width, 0),
                        make_linear(params, name + "mlp.fc1", width, 4 * width, 0),
                        make_linear(params, name + "mlp.fc2", 4 * width, width, 0), vit_heads});
  }
  m.stages.push_back(make_stage(params, 1, taps * width, width, scale));
  m.stages.push_back(make_stage(params, 2, width, narrow, scale));
  m.score1 = make_linear(params, "fc_score.0", narrow, narrow, 0);
  m.score2 = make_linear(params, "fc_score.3", narrow, 1, 0);
  m.weight1 = make_linear(params, "fc_weight.0", narrow, narrow, 0);
  m.weight2 = make_linear(params, "fc_weight.3", narrow, 1, 0);
  finpercep::load(params, file, where);
  params.to(device, at::kFloat);
  return m;
}

std::pair<at::Tensor, at::Tensor> Maniqa::patches(const at::Tensor& crop) const {
  const at::Tensor embedded = embedding(crop * 2 - 1).flatten(2).transpose(1, 2);
  at::Tensor x = at::cat({class_token.expand({crop.size(0), 1, width}), embedded}, 1) + positions;
  std::vector<at::Tensor> tapped;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    x = blocks[i](std::move(x));
    if (i >= first_tap) tapped.push_back(x.narrow(1, 1, tokens));
  }
  x = at::cat(tapped, 2);
  for (const Stage& stage : stages) {
    x = x.transpose(1, 2).contiguous();
    for (const ChannelAttention& attention : stage.attention) x = attend_channels(attention, x);
    x = stage.swin(stage.conv(x.unflatten(2, {cells, cells})).flatten(2).transpose(1, 2), cells, cells);
  }
  return {at::relu(score2(at::relu(score1(x)))).squeeze(2), at::sigmoid(weight2(at::relu(weight1(x)))).squeeze(2)};
}

std::vector<std::pair<int64_t, int64_t>> Maniqa::crops(int64_t height, int64_t width) {
  std::vector<std::pair<int64_t, int64_t>> places;
  for (int64_t i = 0; i < crop_rows * crop_columns; ++i)
    places.emplace_back(i / crop_columns * ((height - side) / steps), i % crop_columns * ((width - side) / steps));
  return places;
}

at::Tensor Maniqa::operator()(const at::Tensor& image) const {
  if (image.dim() != 4 || image.size(1) != 3) throw input_error("maniqa: expected a batch with 3 channels");
  const int64_t shorter = std::min(image.size(2), image.size(3));
  if (std::max(image.size(2), image.size(3)) > 100 * shorter)
    throw input_error(fmt::format("maniqa: expected a long side of at most 100 short ones, found {}x{}", image.size(3), image.size(2)));
  at::Tensor x = image;
  if (shorter <= side) {
    const double factor = static_cast<double>(side + 1) / static_cast<double>(shorter);
    x = at::upsample_bilinear2d(x, at::OptionalIntArrayRef(), false,
                                std::array<double, 2>{factor, factor});  // the factor, not the sizes, sets the grid
  }
  std::map<std::pair<int64_t, int64_t>, int> places;  // crops that coincide are computed once and counted as often as they occur
  for (const auto& place : crops(x.size(2), x.size(3))) ++places[place];
  at::Tensor top, bottom;
  for (const auto& [place, times] : places) {  // one crop of every picture at a time: memory stays that of a batch
    const auto [score, weight] = patches(x.narrow(2, place.first, side).narrow(3, place.second, side));
    const at::Tensor product = (score * weight).sum(1) * times, sum = weight.sum(1) * times;
    top = top.defined() ? top + product : product;
    bottom = bottom.defined() ? bottom + sum : sum;
  }
  return top / (bottom + 1e-8);
}

}  // namespace finpercep
