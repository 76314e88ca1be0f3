// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/srvgg.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/nets/ncnn_walk.h"
#include "finpercep/nets/winograd.h"

namespace finpercep {

void SRVGGSettings::visit(SettingsVisitor& v) {
  v.field("num_feat", features, "channels", {.min = 8, .max = 256});
  v.field("num_conv", convs, "convolutions between the first and the last", {.min = 1, .max = 128});
}

SRVGG::SRVGG(Params& params, const SRVGGSettings& settings) {
  for (int64_t k = 0; k < settings.convs + 2; ++k) {
    const bool final = k == settings.convs + 1;
    convs.push_back(make_conv(params, fmt::format("convs.{}", k), k == 0 ? 3 : settings.features,
                              final ? 3 * scale * scale : settings.features, 3, {.gain = 1}));
    if (!final) slopes.push_back(params.constant(fmt::format("slopes.{}", k), {settings.features}, 0.25));
  }
}

at::Tensor SRVGG::operator()(const at::Tensor& lr) const {
  at::Tensor x = lr.to(convs[0].weight.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t k = 0; k < slopes.size(); ++k) x = at::prelu(convs[k](x), slopes[k]);
  return at::pixel_shuffle(convs.back()(x), scale) + at::upsample_nearest2d(lr, at::IntArrayRef{scale * lr.size(-2), scale * lr.size(-1)});
}

std::function<at::Tensor(const at::Tensor& lr)> compiled(const SRVGG& net) {
  at::NoGradGuard no_grad;
  std::vector<WinogradConv> body;
  for (std::size_t k = 1; k < net.slopes.size(); ++k) body.emplace_back(net.convs[k], net.slopes[k]);
  return [net, body](const at::Tensor& lr) {
    at::NoGradGuard guard;
    std::vector<at::Tensor> pictures;
    for (const at::Tensor& picture : lr.split(1)) {
      const at::Tensor shallow = at::prelu(net.convs[0](picture.contiguous(at::MemoryFormat::ChannelsLast)), net.slopes[0]);
      at::Tensor x = shallow[0].permute({1, 2, 0}).contiguous();
      for (const WinogradConv& conv : body) x = conv(x, true, true);
      pictures.push_back(net.convs.back()(x.permute({2, 0, 1}).unsqueeze(0)));
    }
    return at::pixel_shuffle(at::cat(pictures), net.scale) +
           at::upsample_nearest2d(lr, at::IntArrayRef{net.scale * lr.size(-2), net.scale * lr.size(-1)});
  };
}

SRVGGSettings srvgg_settings(const NcnnGraph& graph, const std::string& where) {
  SRVGGSettings settings{.features = 0, .convs = layer_count(graph, "PReLU") - 1};
  int64_t scale = 0;
  for (const NcnnLayer& layer : graph.layers) {
    if (layer.type == "PReLU" && settings.features == 0) settings.features = layer.whole(0, 0);
    if (layer.type == "PixelShuffle") scale = layer.whole(0, 0);
  }
  if (settings.convs < 1 || settings.convs > 128 || settings.features < 1 || settings.features > 256 || scale != SRVGG::scale)
    throw model_error(fmt::format(
        "ncnn: {}: expected an SRVGGNet of scale 4, at most 129 PReLUs and 256 channels, found scale {}, {} and {}. is it another model?",
        where, scale, settings.convs + 1, settings.features));
  return settings;
}

void load_ncnn(const SRVGG& net, const NcnnGraph& graph, const std::string& where) {
  NcnnWalk walk(graph, where);
  auto x = walk.input();
  for (std::size_t k = 0; k < net.slopes.size(); ++k) x = walk.prelu(walk.conv(x, net.convs[k]), net.slopes[k]);
  x = walk.pixel_shuffle(walk.conv(x, net.convs.back()), static_cast<int>(net.scale));
  walk.finish(walk.add(x, walk.nearest(walk.input(), static_cast<int>(net.scale))));
}

}  // namespace finpercep
