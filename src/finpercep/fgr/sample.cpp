// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/sample.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/fgr/shards.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

void FgrSettings::visit(SettingsVisitor& v) {
  v.field("count", count, "samples", {.min = 1, .max = 1e8});
  v.field("size", size, "side of a sample, pixels; a multiple of 32", {.min = 32, .max = 2048});
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.group("photos", photos, "where the clean photographs are");
  v.group("degradation", degradation, "how LR pictures are made for the generators");
  v.field("sources", sources, "who makes I_SR: model names or files, bicubic, distort");
  v.group("masks", masks, "regions");
  v.field("whole_prob", whole_prob, "share of whole SR pictures", {.min = 0, .max = 1});
  v.field("clean_prob", clean_prob, "share of clean-into-clean swaps, whose label is zero", {.min = 0, .max = 1});
  v.group("label", label, "M_gt");
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 or auto, for the generators");
}

FgrBuilder::FgrBuilder(const FgrSettings& settings)
    : settings_(settings), compute_(resolve_compute(settings.device, settings.dtype)), photos_(settings.photos, static_cast<int>(settings.size)),
      features_(compute_.device) {
  if (settings.size % 32 != 0) throw usage_error(fmt::format("size: expected a multiple of 32, found {}", settings.size));
  if (settings.sources.empty()) throw usage_error("sources: expected at least one of: a model, bicubic, distort; found none");
  for (const std::string& source : settings.sources)
    generators_.emplace_back(source, source == "distort" ? SuperResolver() : make_super_resolver(source, {.tile = 0, .compute = compute_}));
  if (settings_.label.scale == 0) settings_.label.scale = measure_scale();
}

FgrBuilder::Parts FgrBuilder::parts(int64_t index) const {
  const auto seed = static_cast<uint64_t>(settings_.manual_seed), item = static_cast<uint64_t>(index);
  const int size = static_cast<int>(settings_.size);
  TrainingPair pair = make_pair(photos_, settings_.degradation, size, seed, item);
  Random random(seed, "fgr", item);
  Parts parts;
  parts.gt = std::move(pair.gt);
  if (random.chance(settings_.clean_prob)) {
    parts.source = "clean";
    parts.sr = parts.gt;
  } else {
    const auto& [name, generator] = generators_[random.integer(0, static_cast<int64_t>(generators_.size()) - 1)];
    parts.source = name;
    if (generator) {
      parts.sr = generator(pair.lr, random.bits());
    } else {
      const auto& kinds = distortion_kinds();
      const std::string& kind = kinds[random.integer(0, static_cast<int64_t>(kinds.size()) - 1)];
      parts.source += ":" + kind;
      parts.sr = distort(parts.gt, kind, random.uniform(), Random(seed, "distort", item));
    }
  }
  if (random.chance(settings_.whole_prob)) {
    parts.mask_kind = "whole";
    parts.mask = Image(size, size, 1, 1.0f);
  } else {
    parts.mask_kind = settings_.masks.kinds[random.integer(0, static_cast<int64_t>(settings_.masks.kinds.size()) - 1)];
    parts.mask = random_mask(parts.mask_kind, size, size, settings_.masks, random);
  }
  // What is stored has 8 bits; the label must belong to what is stored.
  for (Image* image : {&parts.gt, &parts.sr, &parts.mask})
    for (float& v : image->data) v = std::round(std::clamp(v, 0.0f, 1.0f) * 255) / 255;
  return parts;
}

at::Tensor FgrBuilder::raw_label(const Parts& parts) const {
  const at::Tensor gt = to_tensor(parts.gt).to(compute_.device), sr = to_tensor(parts.sr).to(compute_.device), mask = to_tensor(parts.mask).to(compute_.device);
  return raw_difference(features_, gt, compose(gt, sr, mask), mask, settings_.label.alpha);
}

// The quantile of raw differences inside swapped regions over a fixed part of the set: the same for every shard and thread count.
double FgrBuilder::measure_scale() const {
  const int64_t probes = std::min<int64_t>(settings_.count, 96);
  std::vector<std::vector<float>> values(probes);
  parallel_for(probes, 0, [&](int64_t i) {
    at::set_num_threads(1);
    at::NoGradGuard no_grad;
    const Parts p = parts(i);
    if (p.source == "clean") return;
    const at::Tensor raw = raw_label(p).cpu().flatten();
    const float* data = raw.data_ptr<float>();
    for (int64_t k = 0; k < raw.numel(); k += 7)
      if (p.mask.data[k] > 0.5f) values[i].push_back(data[k]);
  });
  std::vector<float> all;
  for (const auto& part : values) all.insert(all.end(), part.begin(), part.end());
  if (all.empty()) throw input_error("fgr: label scale: expected swapped pixels in the first samples, found none. lower clean_prob or raise masks.area");
  const auto at = static_cast<std::ptrdiff_t>(settings_.label.quantile * static_cast<double>(all.size() - 1));
  std::nth_element(all.begin(), all.begin() + at, all.end());
  return std::max(1e-4, static_cast<double>(all[at]));
}

FgrSample FgrBuilder::sample(int64_t index) const {
  at::NoGradGuard no_grad;
  Parts p = parts(index);
  const at::Tensor label = normalize_label(raw_label(p), settings_.label.scale);
  return {std::move(p.gt), std::move(p.sr), std::move(p.mask), to_image(label), p.source, p.mask_kind};
}

FgrSet::FgrSet(const FgrBuilder& builder) : label_scale_(builder.label_scale()), alpha_(builder.settings().label.alpha) {
  samples_.resize(builder.settings().count);
  Progress progress("fgr samples", builder.settings().count);
  std::mutex mutex;
  parallel_for(builder.settings().count, 0, [&](int64_t i) {
    if (interrupted()) throw interrupted_error("interrupted while making samples: nothing was saved");
    at::set_num_threads(1);
    samples_[i] = pack(builder.sample(i));
    const std::lock_guard lock(mutex);
    progress.advance();
  });
}

FgrSet::FgrSet(const std::filesystem::path& directory) {
  const ShardManifest manifest = read_manifest(directory);
  label_scale_ = manifest.label_scale;
  alpha_ = manifest.alpha;
  read_shards(directory, [&](FgrSample&& sample) { samples_.push_back(pack(sample)); });
  if (samples_.empty()) throw input_error(fmt::format("fgr: {}: expected samples, found none", directory.string()));
}

FgrSet::Packed FgrSet::pack(const FgrSample& sample) {
  const auto bytes = [](const Image& image) {
    std::vector<uint8_t> out(image.data.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint8_t>(std::lround(image.data[i] * 255));
    return out;
  };
  return {sample.gt.width, sample.gt.height, bytes(sample.gt), bytes(sample.sr), bytes(sample.mask), bytes(sample.label), sample.source, sample.mask_kind};
}

FgrSample FgrSet::sample(int64_t index) const {
  const Packed& packed = samples_[index];
  const auto image = [&](const std::vector<uint8_t>& bytes, int channels) {
    Image out(packed.width, packed.height, channels);
    for (std::size_t i = 0; i < bytes.size(); ++i) out.data[i] = static_cast<float>(bytes[i]) / 255.0f;
    return out;
  };
  return {image(packed.gt, 3), image(packed.sr, 3), image(packed.mask, 1), image(packed.label, 1), packed.source, packed.mask_kind};
}

}  // namespace finpercep
