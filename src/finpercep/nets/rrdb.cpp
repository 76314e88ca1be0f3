// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/rrdb.h"

#include <fmt/format.h>

#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/nets/ncnn_walk.h"
#include "finpercep/nets/winograd.h"

namespace finpercep {

void RRDBSettings::visit(SettingsVisitor& v) {
  v.field("num_feat", features, "channels", {.min = 8, .max = 1024});
  v.field("num_grow_ch", growth, "channels that a dense layer adds", {.min = 8, .max = 1024});
  v.field("num_block", blocks, "residual-in-residual dense blocks", {.min = 1, .max = 256});
}

namespace {

constexpr double slope = 0.2, residual = 0.2;

at::Tensor leaky(at::Tensor x) { return x.requires_grad() ? at::leaky_relu(x, slope) : at::leaky_relu_(x, slope); }

at::Tensor run(const RRDB::Dense& dense, const at::Tensor& x) {
  std::vector<at::Tensor> seen = {x};
  for (std::size_t k = 0; k < 4; ++k) seen.push_back(leaky(dense[k](k == 0 ? x : at::cat(seen, 1))));
  return at::add(x, dense[4](at::cat(seen, 1)), residual);
}

at::Tensor twice(const at::Tensor& x) { return at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(-2), 2 * x.size(-1)}); }

}  // namespace

RRDB::RRDB(Params& params, const RRDBSettings& settings, double gain) {
  const int64_t wide = settings.features, grow = settings.growth;
  const ConvOptions options{.gain = gain};
  first = make_conv(params, "first", 3, wide, 3, options);
  for (int64_t b = 0; b < settings.blocks; ++b) {
    auto& block = blocks.emplace_back();
    for (int64_t d = 0; d < 3; ++d)
      for (int64_t k = 0; k < 5; ++k)
        block[d][k] = make_conv(params, fmt::format("blocks.{}.{}.{}", b, d, k), wide + k * grow, k < 4 ? grow : wide, 3, options);
  }
  trunk = make_conv(params, "trunk", wide, wide, 3, options);
  up1 = make_conv(params, "up1", wide, wide, 3, options);
  up2 = make_conv(params, "up2", wide, wide, 3, options);
  high = make_conv(params, "high", wide, wide, 3, options);
  last = make_conv(params, "last", wide, 3, 3, options);
}

at::Tensor RRDB::operator()(const at::Tensor& lr) const {
  const at::Tensor shallow = first(lr.to(first.weight.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast));
  at::Tensor x = shallow;
  for (const auto& block : blocks) x = at::add(x, run(block[2], run(block[1], run(block[0], x))), residual);
  x = shallow + trunk(x);
  x = leaky(up1(twice(x)));
  x = leaky(up2(twice(x)));
  return last(leaky(high(x)));
}

namespace {

at::Tensor rows_first(const at::Tensor& x) { return x[0].permute({1, 2, 0}).contiguous(); }   // 1 x C x H x W -> H x W x C
at::Tensor channels_first(const at::Tensor& x) { return x.permute({2, 0, 1}).unsqueeze(0); }  // a view

struct CompiledRRDB {
  explicit CompiledRRDB(const RRDB& net) : first(net.first), last(net.last), trunk(net.trunk, at::ones_like(net.trunk.bias)) {
    for (const auto& block : net.blocks)
      for (const RRDB::Dense& dense : block)
        for (std::size_t k = 0; k < 5; ++k) body.emplace_back(dense[k], at::full_like(dense[k].bias, k < 4 ? slope : 1));
    for (const Conv& conv : {net.up1, net.up2, net.high}) upper.emplace_back(conv, at::full_like(conv.bias, slope));
  }

  at::Tensor dense(const WinogradConv* convs, const at::Tensor& x) const {
    std::vector<at::Tensor> seen = {x};
    for (int k = 0; k < 4; ++k) seen.push_back(convs[k](k == 0 ? x : at::cat(seen, 2), true, true));
    return at::add(x, convs[4](at::cat(seen, 2), true, true), residual);
  }

  at::Tensor one(const at::Tensor& lr) const {
    const at::Tensor shallow = rows_first(first(lr.contiguous(at::MemoryFormat::ChannelsLast)));
    at::Tensor x = shallow;
    for (std::size_t b = 0; b < body.size(); b += 15)
      x = at::add(x, dense(&body[b + 10], dense(&body[b + 5], dense(&body[b], x))), residual);
    x = shallow + trunk(x, true, true);
    for (int k = 0; k < 2; ++k) x = upper[k](rows_first(twice(channels_first(x))), true, true);
    return last(channels_first(upper[2](x, true, true)));
  }

  Conv first, last;
  WinogradConv trunk;
  std::vector<WinogradConv> body, upper;
};

}  // namespace

std::function<at::Tensor(const at::Tensor& lr)> compiled(const RRDB& net) {
  at::NoGradGuard no_grad;
  return [fast = std::make_shared<const CompiledRRDB>(net)](const at::Tensor& lr) {
    at::NoGradGuard guard;
    std::vector<at::Tensor> pictures;
    for (const at::Tensor& picture : lr.split(1)) pictures.push_back(fast->one(picture));
    return at::cat(pictures);
  };
}

RRDBSettings rrdb_settings(const NcnnGraph& graph, const std::string& where) {
  std::vector<const NcnnLayer*> convs;
  for (const NcnnLayer& layer : graph.layers)
    if (layer.type == "Convolution") convs.push_back(&layer);
  // A block has four weighted sums and fifteen convolutions; six more stand around them.
  const int64_t blocks = layer_count(graph, "Eltwise") / 4;
  if (blocks < 1 || static_cast<int64_t>(convs.size()) != 15 * blocks + 6)
    throw model_error(fmt::format("ncnn: {}: expected an RRDBNet, found {} weighted sums and {} convolutions. is it another model?", where,
                                  layer_count(graph, "Eltwise"), convs.size()));
  const RRDBSettings settings{convs[0]->whole(0, 0), convs[1]->whole(0, 0), blocks};
  // Checked before memory is taken for them.
  if (blocks > 64 || settings.features < 1 || settings.features > 256 || settings.growth < 1 || settings.growth > 128)
    throw model_error(fmt::format(
        "ncnn: {}: expected an RRDBNet of at most 64 blocks, 256 features and growth 128, found {}, {} and {}. is it another model?", where,
        blocks, settings.features, settings.growth));
  return settings;
}

void load_ncnn(const RRDB& net, const NcnnGraph& graph, const std::string& where) {
  NcnnWalk walk(graph, where);
  const auto shallow = walk.conv(walk.input(), net.first);
  auto x = shallow;
  for (const auto& block : net.blocks) {
    const auto before = x;
    for (const RRDB::Dense& dense : block) {
      std::vector<NcnnWalk::Blob> seen = {x};
      for (std::size_t k = 0; k < 4; ++k) seen.push_back(walk.conv(k == 0 ? x : walk.concat(seen), dense[k], slope));
      x = walk.scaled_add(walk.conv(walk.concat(seen), dense[4]), residual, x);
    }
    x = walk.scaled_add(x, residual, before);
  }
  x = walk.add(shallow, walk.conv(x, net.trunk));
  x = walk.conv(walk.nearest(x, 2), net.up1, slope);
  x = walk.conv(walk.nearest(x, 2), net.up2, slope);
  walk.finish(walk.conv(walk.conv(x, net.high, slope), net.last));
}

}  // namespace finpercep
