// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "finpercep/base/error.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/layout.h"

namespace finpercep {

void RewardSettings::visit(SettingsVisitor& v) {
  v.field("stage", stage, "k of RM_k: 0 global score only, 1..4 maps down to stride 16, 8, 4, 2", {.min = 0, .max = finest_stage});
  v.choice("encoder", encoder, "the pretrained net that sees", encoder_names());
  v.choice("head", head, "features behind the score: defect (the paper's f_N * M), defect_and_clean, or plain (no map)",
           {"defect", "defect_and_clean", "plain"});
  v.field("widths", widths, "channels of the neck and of the four decoder levels", {.min = 8, .max = 1024});
  v.field("head_width", head_width, "hidden units of the score MLP", {.min = 1, .max = 4096});
}

RewardModel::RewardModel(const RewardSettings& given, std::optional<uint64_t> seed)
    : settings(given), params(seed), encoder_(params, given.encoder) {
  if (settings.widths.size() != finest_stage + 1)
    throw usage_error(fmt::format("widths: expected {} numbers, found {}", finest_stage + 1, settings.widths.size()));
  const auto& taps = encoder_.channels();
  neck_ = make_conv(params, "neck", taps[4], settings.widths[0], 1);
  const int64_t seen = settings.head == "defect_and_clean" ? 2 * taps[4] : taps[4];
  for (int64_t k = 0; k <= settings.stage; ++k) {
    if (k > 0) {
      const std::string name = fmt::format("level.{}.", k);
      const int64_t width = settings.widths[k];
      levels_.push_back({make_conv(params, name + "tap", taps[4 - k], width, 1, {.gain = 1}),
                         make_conv(params, name + "fuse", settings.widths[k - 1], width, 3, {.gain = 1}),
                         make_conv(params, name + "refine", width, width, 3),
                         make_conv(params, name + "logits", width, 1, 3, {.gain = 0})});
    }
    const std::string name = fmt::format("head.{}.", k);
    heads_.push_back(
        {make_linear(params, name + "hidden", seen, settings.head_width), make_linear(params, name + "out", settings.head_width, 1)});
  }
}

at::Tensor mirrored_to(at::Tensor x, int64_t height, int64_t width) {
  for (const auto& [dim, wanted] : {std::pair(2, height), std::pair(3, width)})
    while (x.size(dim) < wanted) {  // more than once where the picture is smaller than what is missing
      const int64_t n = x.size(dim), more = std::min(wanted - n, std::max<int64_t>(n - 1, 1));
      const std::array<int64_t, 4> pad = {0, dim == 3 ? more : 0, 0, dim == 2 ? more : 0};
      x = n > 1 ? at::reflection_pad2d(x, pad) : at::replication_pad2d(x, pad);
    }
  return x;
}

at::Tensor RewardModel::modulate(const at::Tensor& features, const at::Tensor& map) const {
  if (settings.head == "plain") return features;
  // interp(PDM): the map's average over each cell of f_N's grid.
  const at::Tensor defect = features * at::adaptive_avg_pool2d(map, {features.size(-2), features.size(-1)});
  return settings.head == "defect" ? defect : at::cat({defect, features - defect}, 1);
}

at::Tensor RewardModel::score_logit_of(const at::Tensor& pooled, int64_t stage) const {
  const Head& head = heads_.at(stage);
  return head.out(at::silu(head.hidden(pooled))).to(at::kFloat).squeeze(1);
}

at::Tensor RewardModel::descend(const Level& level, const at::Tensor& coarser, const at::Tensor& tap) {
  const at::Tensor fused = level.fuse.of_doubled(coarser);
  // A transformer's tokens have a grid of their own: resampled after the 1 x 1 convolution, which is cheaper and gives the same.
  const bool aligned = tap.size(-2) == fused.size(-2) && tap.size(-1) == fused.size(-1);
  const at::Tensor h =
      at::silu(aligned ? level.tap.added_to(fused, tap) : fused + upsample_to(level.tap(tap), fused.size(-2), fused.size(-1)));
  return h + level.refine(h, Activation::silu);
}

std::vector<Judgement> RewardModel::run(const at::Tensor& x, int64_t first, int64_t stage) const {
  TORCH_CHECK(stage >= 0 && stage <= settings.stage, "RewardModel: stage ", stage, " of a model that has stages 0..", settings.stage);
  const int64_t height = x.size(-2), width = x.size(-1), bottom = (32 - height % 32) % 32, right = (32 - width % 32) % 32;
  // Channels last, and all that follows is: depthwise convolutions are several times faster so.
  const auto taps = encoder_(mirrored_to(x, height + bottom, width + right).contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor features = taps[4].to(at::kFloat);
  at::Tensor h = neck_(taps[4], Activation::silu);
  // Levels are summed at full size: a level of zeros must change nothing, and resampling the coarser logits to its stride would.
  at::Tensor logits = at::zeros({x.size(0), 1, height + bottom, width + right}, features.options());
  std::vector<Judgement> judgements;
  for (int64_t k = 0; k <= stage; ++k) {
    if (k > 0) {
      const Level& level = levels_[k - 1];
      h = descend(level, h, taps[4 - k]);
      logits = logits + upsample_to(level.logits(h).to(at::kFloat), height + bottom, width + right);
    }
    if (k < first) continue;
    const at::Tensor map = at::sigmoid(logits);
    const at::Tensor cells = modulate(features, map);
    const auto inside = [&](const at::Tensor& full) { return full.narrow(-2, 0, height).narrow(-1, 0, width); };
    const at::Tensor score_logit = score_logit_of(cells.mean({2, 3}), k);
    judgements.push_back({at::sigmoid(score_logit), score_logit, inside(logits), inside(map)});
  }
  return judgements;
}

RewardModel::Coarse RewardModel::coarse(const at::Tensor& stride_8, int64_t stage) const {
  const auto taps = encoder_.upper(stride_8);
  Coarse made{taps[1].to(at::kFloat), neck_(taps[1], Activation::silu), {}};
  for (int64_t k = 1; k <= std::min<int64_t>(stage, 2); ++k) {
    made.h = descend(levels_[k - 1], made.h, k == 1 ? taps[0] : stride_8);
    made.logits.push_back(levels_[k - 1].logits(made.h).to(at::kFloat));
  }
  return made;
}

at::Tensor RewardModel::fine_logits(const Coarse& coarse, const at::Tensor& tile, int64_t top, int64_t left, int64_t stage) const {
  const int64_t height = tile.size(-2), width = tile.size(-1);
  const auto part = [&](const at::Tensor& whole, int64_t stride) {
    return whole.narrow(2, top / stride, height / stride).narrow(3, left / stride, width / stride);
  };
  at::Tensor logits = at::zeros({tile.size(0), 1, height, width}, coarse.features.options());
  for (std::size_t k = 0; k < coarse.logits.size(); ++k)
    logits = logits + upsample_to(part(coarse.logits[k], k == 0 ? 16 : 8), height, width);
  if (stage < 3) return logits;
  const auto taps = encoder_.finest(tile);
  at::Tensor h = part(coarse.h, 8);
  for (int64_t k = 3; k <= stage; ++k) {
    h = descend(levels_[k - 1], h, taps[4 - k]);
    logits = logits + upsample_to(levels_[k - 1].logits(h).to(at::kFloat), height, width);
  }
  return logits;
}

void RewardModel::pack(at::ScalarType dtype) {
  encoder_.pack(dtype);
  neck_.pack(dtype);
  for (Level& level : levels_) {
    level.tap.pack(dtype);
    level.fuse.pack(dtype, true);
    level.refine.pack(dtype);
    level.logits.pack(dtype);
  }
}

void blend_shared(const RewardModel& from, const RewardModel& to, double share) {
  at::NoGradGuard no_grad;
  const std::map<std::string, at::Tensor> source(from.params.named().begin(), from.params.named().end());
  for (const auto& [name, tensor] : to.params.named())
    if (const auto found = source.find(name); found != source.end()) tensor.lerp_(found->second, share);
}

std::unique_ptr<RewardModel> grow(const RewardModel& model, uint64_t seed) {
  TORCH_CHECK(model.settings.stage < finest_stage, "grow: stage ", finest_stage, " is the finest");
  RewardSettings next = model.settings;
  ++next.stage;
  auto grown = std::make_unique<RewardModel>(next, seed);
  grown->params.to(model.params.named()[0].second.device(), at::kFloat);
  channels_last(grown->params);
  blend_shared(model, *grown, 1);
  at::NoGradGuard no_grad;
  const auto& last = model.heads_.back();
  const auto& fresh = grown->heads_.back();
  fresh.hidden.weight.copy_(last.hidden.weight);
  fresh.hidden.bias.copy_(last.hidden.bias);
  fresh.out.weight.copy_(last.out.weight);
  fresh.out.bias.copy_(last.out.bias);
  return grown;
}

std::unique_ptr<RewardModel> load_reward(const std::string& name_or_file, at::Device device, RewardFacts* facts) {
  const TensorFile file = read_checkpoint(name_or_file, "reward");
  auto model = from_config<RewardModel, RewardSettings>(file, name_or_file);
  load(model->params, file, name_or_file);
  model->params.to(device, at::kFloat);
  channels_last(model->params);
  if (facts) {
    const auto number = [&](const char* key) { return metadata_number<double>(file, key, name_or_file); };
    *facts = {number("label_alpha"), number("label_scale")};
    if (const auto found = file.metadata.find("label_features"); found != file.metadata.end()) facts->label_features = found->second;
  }
  return model;
}

void expect_label_scale(const RewardFacts& facts, const std::string& model) {
  if (facts.label_scale == 0)
    throw usage_error(
        fmt::format("reward: {}: expected labels of one scale to let it learn along, found label.normalize image. train it with "
                    "label.normalize dataset, or keep it frozen (coevolve_freq=0)",
                    model));
}

void save_reward(const std::filesystem::path& path, const RewardModel& model, const RewardFacts& facts,
                 const std::map<std::string, std::string>& notes) {
  TensorFile file;
  file.metadata = notes;
  file.metadata["label_alpha"] = fmt::format("{}", facts.label_alpha);
  file.metadata["label_scale"] = fmt::format("{}", facts.label_scale);
  file.metadata["label_features"] = facts.label_features;
  put(file, model.params.named(), at::kHalf);
  write_checkpoint(path, file, "reward", to_yaml(model.settings));
}

}  // namespace finpercep
