// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/encoder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "finpercep/base/error.h"
#include "finpercep/nets/pretrained.h"
#include "finpercep/nets/script.h"

namespace finpercep {

// What every net of EncoderNet answers, by overloads: channels_of, taps_of, load_public. What only some can is asked of the net itself:
// finest, lower and upper, pack, and script_of. A new net is a type in EncoderNet, a line in encoder_table and these overloads.
namespace {

constexpr std::string_view prefix = "encoder.";
const std::vector<int64_t> dino_layers = {3, 6, 9, 12};  // early blocks tell where, late ones what

struct EncoderEntry {
  std::string name;
  EncoderNet (*make)(Params& params, const std::string& prefix);
};

const std::vector<EncoderEntry>& encoder_table() {
  static const std::vector<EncoderEntry> table = {
      {"efficientnet", [](Params& params, const std::string& start) -> EncoderNet { return EfficientNetLite0(params, start); }},
      {"dinov2", [](Params& params, const std::string& start) -> EncoderNet { return Dino(params, DinoVersion::v2, start); }},
      {"clip", [](Params& params, const std::string& start) -> EncoderNet { return ClipResNet(params, start, false); }},
  };
  return table;
}

EncoderNet make_net(Params& params, const std::string& name) {
  const auto found = std::ranges::find(encoder_table(), name, &EncoderEntry::name);
  if (found == encoder_table().end())
    throw usage_error(fmt::format("encoder: expected one of {}, found '{}'", fmt::join(encoder_names(), ", "), name));
  return found->make(params, std::string(prefix));
}

std::array<int64_t, 5> channels_of(const EfficientNetLite0&) { return EfficientNetLite0::tap_channels; }
std::array<int64_t, 5> channels_of(const ClipResNet&) { return ClipResNet::tap_channels; }
std::array<int64_t, 5> channels_of(const Dino&) {
  std::array<int64_t, 5> channels;
  channels.fill(Dino::width);
  return channels;
}

std::array<at::Tensor, 5> taps_of(const EfficientNetLite0& net, const at::Tensor& x) { return net(x); }
std::array<at::Tensor, 5> taps_of(const ClipResNet& net, const at::Tensor& x) { return net(x); }
std::array<at::Tensor, 5> taps_of(const Dino& dino, const at::Tensor& x) {
  // Stretched to whole patches: the grid of tokens then covers the picture and no more, and whoever resamples it finds each token at its
  // place.
  const auto whole = [&](int64_t side) { return (side + dino.patch - 1) / dino.patch * dino.patch; };
  const auto tokens = dino.tokens(upsample_to(x, whole(x.size(-2)), whole(x.size(-1))), dino_layers);
  const auto on_stride = [&](const at::Tensor& t, int64_t stride) {
    return at::adaptive_avg_pool2d(t, {x.size(-2) / stride, x.size(-1) / stride});
  };
  return {tokens[0], tokens[0], tokens[1], on_stride(tokens[2], 16), on_stride(tokens[3], 32)};
}

void load_public(const EfficientNetLite0& net) {
  const auto path = weight_file("efficientnet_lite0");
  load_imagenet(net, read_safetensors(path, Checksum::if_present), path.string());
}
void load_public(const ClipResNet& net) {
  const auto path = weight_file("clipiqa");
  load_clip(net, read_safetensors(path, Checksum::if_present), path.string());
}
void load_public(const Dino& net) { load_pretrained(net, DinoVersion::v2); }

std::string script_of(const EfficientNetLite0& net) { return encoder_script(net, std::string(prefix)); }
std::string script_of(const Dino& dino) {
  MethodBody line(tokens_script(dino, dino_layers, std::string(prefix)) + "\ndef encoder(self, image: Tensor) -> List[Tensor]:");
  line(fmt::format("whole = [(image.size(2) + {0}) // {1} * {1}, (image.size(3) + {0}) // {1} * {1}]", dino.patch - 1, dino.patch));
  line("t = self.tokens(torch.upsample_bilinear2d(image, whole, False))");
  line("at16 = torch.adaptive_avg_pool2d(t[2], [image.size(2) // 16, image.size(3) // 16])");
  line("at32 = torch.adaptive_avg_pool2d(t[3], [image.size(2) // 32, image.size(3) // 32])");
  line("return [t[0], t[0], t[1], at16, at32]");
  return line.text();
}
std::string script_of(const ClipResNet&) {
  throw model_error("export: expected a reward whose encoder is efficientnet or dinov2, found clip, which has no TorchScript form");
}

template <class Net>
concept InParts = requires(const Net& net, const at::Tensor& x) {
  net.finest(x);
  net.lower(x);
  net.upper(x);
};

template <std::size_t taps, class Ask>
std::array<at::Tensor, taps> of_parts(const EncoderNet& of, Ask ask) {
  return std::visit(
      [&]<class Net>(const Net& net) -> std::array<at::Tensor, taps> {
        if constexpr (InParts<Net>) return ask(net);
        else TORCH_CHECK(false, "RewardEncoder: a part of an encoder that is not in_parts()");
      },
      of);
}

template <class Net>
concept Packable = requires(Net& net, at::ScalarType dtype) {
  net.pack(dtype);
};

}  // namespace

const std::vector<std::string>& encoder_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const EncoderEntry& entry : encoder_table()) all.push_back(entry.name);
    return all;
  }();
  return names;
}

RewardEncoder::RewardEncoder(Params& params, const std::string& name)
    : net_(make_net(params, name)), channels_(std::visit([](const auto& net) { return channels_of(net); }, net_)) {}

std::array<at::Tensor, 5> RewardEncoder::operator()(const at::Tensor& x) const {
  return std::visit([&](const auto& net) { return taps_of(net, x); }, net_);
}

bool RewardEncoder::in_parts() const {
  return std::visit([]<class Net>(const Net&) { return InParts<Net>; }, net_);
}

std::array<at::Tensor, 2> RewardEncoder::finest(const at::Tensor& x) const {
  return of_parts<2>(net_, [&](const auto& net) { return net.finest(x); });
}

std::array<at::Tensor, 3> RewardEncoder::lower(const at::Tensor& x) const {
  return of_parts<3>(net_, [&](const auto& net) { return net.lower(x); });
}

std::array<at::Tensor, 2> RewardEncoder::upper(const at::Tensor& at_stride_8) const {
  return of_parts<2>(net_, [&](const auto& net) { return net.upper(at_stride_8); });
}

void RewardEncoder::pack(at::ScalarType dtype) {
  std::visit(
      [&]<class Net>(Net& net) {
        if constexpr (Packable<Net>) net.pack(dtype);
      },
      net_);
}

std::string RewardEncoder::script() const {
  return std::visit([](const auto& net) { return script_of(net); }, net_);
}

void RewardEncoder::load_pretrained() const {
  std::visit([](const auto& net) { load_public(net); }, net_);
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
