// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/encoder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/script.h"

namespace finpercep {

namespace {

constexpr std::string_view prefix = "encoder.";
const std::vector<int64_t> dino_layers = {3, 6, 9, 12};  // early blocks tell where, late ones what

std::variant<EfficientNetLite0, ClipResNet, Dino> make_net(Params& params, const std::string& name) {
  const std::string start(prefix);
  if (name == "efficientnet") return EfficientNetLite0(params, start);
  if (name == "clip") return ClipResNet(params, start, false);
  if (name == "dinov2") return Dino(params, DinoVersion::v2, start);
  throw usage_error(fmt::format("encoder: expected one of {}, found '{}'", fmt::join(encoder_names(), ", "), name));
}

}  // namespace

const std::vector<std::string>& encoder_names() {
  static const std::vector<std::string> names = {"efficientnet", "dinov2", "clip"};
  return names;
}

RewardEncoder::RewardEncoder(Params& params, const std::string& name) : net_(make_net(params, name)) {
  if (std::holds_alternative<EfficientNetLite0>(net_)) channels_ = EfficientNetLite0::tap_channels;
  else if (std::holds_alternative<ClipResNet>(net_)) channels_ = ClipResNet::tap_channels;
  else channels_.fill(Dino::width);
}

std::array<at::Tensor, 5> RewardEncoder::operator()(const at::Tensor& x) const {
  if (const auto* net = std::get_if<EfficientNetLite0>(&net_)) return (*net)(x);
  if (const auto* net = std::get_if<ClipResNet>(&net_)) return (*net)(x);
  // Stretched to whole patches: the grid of tokens then covers the picture and no more, and whoever resamples it finds each token at its
  // place.
  const Dino& dino = std::get<Dino>(net_);
  const auto whole = [&](int64_t side) { return (side + dino.patch - 1) / dino.patch * dino.patch; };
  const auto tokens = dino.tokens(upsample_to(x, whole(x.size(-2)), whole(x.size(-1))), dino_layers);
  const auto on_stride = [&](const at::Tensor& t, int64_t stride) {
    return at::adaptive_avg_pool2d(t, {x.size(-2) / stride, x.size(-1) / stride});
  };
  return {tokens[0], tokens[0], tokens[1], on_stride(tokens[2], 16), on_stride(tokens[3], 32)};
}

void RewardEncoder::pack(at::ScalarType dtype) {
  if (auto* net = std::get_if<EfficientNetLite0>(&net_)) net->pack(dtype);
}

std::string RewardEncoder::script() const {
  if (const auto* net = std::get_if<EfficientNetLite0>(&net_)) return encoder_script(*net, std::string(prefix));
  throw model_error("export: expected a reward whose encoder is efficientnet, found another. dinov2 and clip have no TorchScript form");
}

void RewardEncoder::load_pretrained() const {
  if (const auto* net = std::get_if<EfficientNetLite0>(&net_)) {
    const auto path = weight_file("efficientnet_lite0");
    load_imagenet(*net, read_safetensors(path, Checksum::if_present), path.string());
  } else if (const auto* net = std::get_if<ClipResNet>(&net_)) {
    const auto path = supplied_weight_file("clipiqa", "RN50.pt of OpenAI CLIP");
    load_clip(*net, read_safetensors(path, Checksum::if_present), path.string());
  } else {
    finpercep::load_pretrained(std::get<Dino>(net_), DinoVersion::v2);
  }
}

bool RewardEncoder::in_first_blocks(const std::string& name, int64_t blocks) {
  if (blocks == 0 || !name.starts_with(prefix)) return false;
  const std::string_view rest = std::string_view(name).substr(prefix.size());
  constexpr std::string_view block = "blocks.";
  if (!rest.starts_with(block))
    return rest != "norm.weight" &&
           rest != "norm.bias";  // stem, patches, positions lie before the first block, a transformer's norm after the last
  int64_t index = 0;
  std::from_chars(rest.data() + block.size(), rest.data() + rest.size(), index);
  return index < blocks;
}

}  // namespace finpercep
