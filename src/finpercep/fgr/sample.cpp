// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/sample.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/parallel.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

constexpr int64_t probed_crops = 64;  // that the label's scale is measured on

// What is stored has 8 bits; the label must belong to what is stored.
void quantise(Image& image) {
  for (float& v : image.data) v = std::round(std::clamp(v, 0.0f, 1.0f) * 255) / 255;
}

double mean(const Image& image) {
  double sum = 0;
  for (float v : image.data) sum += v;
  return sum / static_cast<double>(image.data.size());
}

// Mean of min(1, value / scale) weighted by the mask.
double severity(const float* values, const Image& mask, double scale) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mask.data.size(); ++i) {
    weight += mask.data[i];
    sum += mask.data[i] * std::min(1.0, values[i] / scale);
  }
  return weight > 0 ? sum / weight : 0;
}

// Clean pixels of somewhere else put in place: a seam without a defect, so that seams are not what the reward learns to find.
SourcePicture clean_picture(const PhotoSet& photos, const PhotoCrop& crop, const Image& gt, Random& random) {
  const double kind = random.uniform();
  if (kind < 1.0 / 3) return {gt, "clean"};
  if (kind < 2.0 / 3) {
    PhotoCrop other = crop;
    other.x = static_cast<int>(std::clamp<int64_t>(crop.x + random.integer(-12, 12), 0, photos.width(crop.photo) - crop.size));
    other.y = static_cast<int>(std::clamp<int64_t>(crop.y + random.integer(-12, 12), 0, photos.height(crop.photo) - crop.size));
    return {photos.cut(other), "clean:shifted"};
  }
  return {photos.cut(photos.random_crop(crop.size, random)), "clean:other"};
}

}  // namespace

void FgrSettings::visit(SettingsVisitor& v) {
  v.field("count", count, "samples", {.min = 1, .max = 1e8});
  v.field("size", size, "side of a sample, pixels; a multiple of 32", {.min = 32, .max = 2048});
  v.field("manual_seed", manual_seed, "seed of every random draw", {.min = 0, .max = 9e15});
  v.group("photos", photos, "where the clean photographs are");
  v.group("degradation", degradation, "how LR pictures are made for the generators");
  v.field("sources", sources, "who makes I_SR: model names or files, bicubic, distort, folders of pictures made elsewhere");
  v.field("source_weights", source_weights, "chance of each source, in proportion; empty: equal", {.min = 0, .max = 1e6});
  v.field("sources_per_crop", sources_per_crop, "pictures I_SR made of one clean crop", {.min = 1, .max = 64});
  v.field("masks_per_source", masks_per_source, "samples made of one I_SR", {.min = 1, .max = 64});
  v.group("masks", masks, "regions");
  v.field("mask_candidates", mask_candidates, "masks drawn for one kept, which keeps the severities flat; 1 takes the first", {.min = 1, .max = 64});
  v.field("whole_prob", whole_prob, "share of whole SR pictures", {.min = 0, .max = 1});
  v.field("clean_prob", clean_prob, "share of clean-into-clean swaps, whose label is zero", {.min = 0, .max = 1});
  v.group("clean_variation", clean_variation, "clean photographs that are less than crisp");
  v.group("label", label, "M_gt");
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 or auto, for the generators");
}

FgrBuilder::FgrBuilder(const FgrSettings& settings, double label_scale)
    : settings_(settings), compute_(resolve_compute(settings.device, settings.dtype)), photos_(settings.photos, static_cast<int>(settings.size)),
      features_(compute_.device) {
  if (settings.size % 32 != 0) throw usage_error(fmt::format("size: expected a multiple of 32, found {}", settings.size));
  if (!settings.source_weights.empty() && settings.source_weights.size() != settings.sources.size())
    throw usage_error(fmt::format("source_weights: expected a number for each of {} sources, found {}", settings.sources.size(), settings.source_weights.size()));
  check_variation_settings(settings.clean_variation);
  sources_ = make_sources(settings.sources, photos_, settings.degradation, compute_);
  if (label_scale > 0) settings_.label.scale = label_scale;
  if (settings_.label.scale == 0) settings_.label.scale = measure_scale();
}

FgrBuilder::Drawn FgrBuilder::draw(int64_t crop) const {
  const auto seed = static_cast<uint64_t>(settings_.manual_seed);
  Random random(seed, "fgr", static_cast<uint64_t>(crop));
  Drawn drawn;
  drawn.crop = photos_.random_crop(static_cast<int>(settings_.size), random);
  const Image photo = photos_.cut(drawn.crop);
  std::vector<double> chances(sources_.size());
  for (std::size_t k = 0; k < sources_.size(); ++k)
    chances[k] = sources_[k].has(drawn.crop.photo) ? settings_.source_weights.empty() ? 1 : settings_.source_weights[k] : 0;
  if (std::ranges::all_of(chances, [](double c) { return c == 0; }))
    throw input_error(fmt::format("sources: expected one that has the photograph '{}', found none. add distort or bicubic to sources", photos_.name(drawn.crop.photo)));
  for (int64_t k = 0; k < settings_.sources_per_crop; ++k) {
    const FgrSource& source = sources_[random.pick(chances)];
    drawn.made.push_back(source.make({drawn.crop, photo, seed, static_cast<uint64_t>(crop * settings_.sources_per_crop + k)}));
    quantise(drawn.made.back().image);
  }
  drawn.gt = photo;
  if (random.chance(settings_.clean_variation.prob)) {
    const auto& kinds = settings_.clean_variation.kinds;
    drawn.variation = kinds[random.integer(0, static_cast<int64_t>(kinds.size()) - 1)];
    drawn.gt = vary(photo, drawn.variation, settings_.clean_variation, random);
  }
  quantise(drawn.gt);
  return drawn;
}

// `raw` is the difference of the whole I_SR, 1 x 1 x H x W: it tells the severity of any mask before its label is made.
FgrSample FgrBuilder::swap(const Drawn& drawn, int64_t index, const at::Tensor& raw) const {
  const int size = static_cast<int>(settings_.size);
  Random random(static_cast<uint64_t>(settings_.manual_seed), "swap", static_cast<uint64_t>(index));
  const SourcePicture& made = drawn.made[index % per_crop() / settings_.masks_per_source];
  FgrSample sample{.gt = drawn.gt, .sr = made.image, .mask = {}, .label = {}, .facts = {}};
  sample.facts = {.index = index, .photo = photos_.name(drawn.crop.photo), .x = drawn.crop.x, .y = drawn.crop.y, .mirrored = drawn.crop.mirrored, .source = made.name, .variation = drawn.variation};
  const bool clean = random.chance(settings_.clean_prob);
  if (clean) {
    SourcePicture picture = clean_picture(photos_, drawn.crop, drawn.gt, random);
    sample.sr = std::move(picture.image);
    sample.facts.source = std::move(picture.name);
  }
  if (random.chance(settings_.whole_prob)) {
    sample.facts.mask = "whole";
    sample.mask = Image(size, size, 1, 1.0f);
  } else {
    // All candidates share one draw of the area, so that choosing among them leaves the areas as they were drawn.
    MaskSettings masks = settings_.masks;
    const double area = std::exp(random.uniform(std::log(masks.area.at(0)), std::log(masks.area.at(1)) + 1e-12)), wanted = random.uniform();
    masks.area = {area, area};
    double nearest = 2;
    for (int64_t k = 0; k < (clean ? 1 : settings_.mask_candidates); ++k) {
      const std::string& kind = masks.kinds[random.integer(0, static_cast<int64_t>(masks.kinds.size()) - 1)];
      Image mask = random_mask(kind, size, size, masks, random);
      const double distance = std::abs(severity(raw.const_data_ptr<float>(), mask, settings_.label.scale) - wanted);
      if (distance >= nearest) continue;
      nearest = distance;
      sample.mask = std::move(mask);
      sample.facts.mask = kind;
    }
  }
  quantise(sample.mask);
  sample.facts.area = mean(sample.mask);
  return sample;
}

std::vector<FgrSample> FgrBuilder::samples_of(int64_t crop) const {
  at::NoGradGuard no_grad;
  const Drawn drawn = draw(crop);
  const at::Tensor gt = to_tensor(drawn.gt).to(compute_.device);
  std::vector<at::Tensor> whole;  // raw difference of each whole I_SR
  const at::Tensor everywhere = at::ones({1, 1, gt.size(2), gt.size(3)}, gt.options());
  for (const SourcePicture& made : drawn.made)
    whole.push_back(raw_difference(features_, gt, to_tensor(made.image).to(compute_.device), everywhere, settings_.label.alpha).to(at::kCPU).contiguous());

  std::vector<FgrSample> samples;
  const int64_t first = crop * per_crop(), end = std::min(first + per_crop(), settings_.count);
  for (int64_t index = first; index < end; ++index) {
    FgrSample sample = swap(drawn, index, whole[index % per_crop() / settings_.masks_per_source]);
    const bool clean = sample.facts.source.starts_with("clean");
    const at::Tensor sr = to_tensor(sample.sr).to(compute_.device), mask = to_tensor(sample.mask).to(compute_.device);
    const at::Tensor raw = clean                           ? at::zeros_like(everywhere)
                           : sample.facts.mask == "whole" ? whole[index % per_crop() / settings_.masks_per_source]
                                                           : raw_difference(features_, gt, compose(gt, sr, mask), mask, settings_.label.alpha);
    sample.label = to_image(normalize_label(raw, settings_.label.scale));
    sample.facts.severity = severity(sample.label.data.data(), sample.mask, 1);
    samples.push_back(std::move(sample));
  }
  return samples;
}

// The quantile of raw differences of whole I_SR over a fixed part of the set: the same for every shard and thread count.
double FgrBuilder::measure_scale() const {
  const int64_t probes = std::min(crops(), probed_crops);
  std::vector<std::vector<float>> values(probes);
  parallel_for(probes, 0, [&](int64_t i) {
    at::set_num_threads(1);
    at::NoGradGuard no_grad;
    const Drawn drawn = draw(i);
    const at::Tensor gt = to_tensor(drawn.gt).to(compute_.device), everywhere = at::ones({1, 1, gt.size(2), gt.size(3)}, gt.options());
    for (const SourcePicture& made : drawn.made) {
      const at::Tensor raw = raw_difference(features_, gt, to_tensor(made.image).to(compute_.device), everywhere, settings_.label.alpha).to(at::kCPU).contiguous();
      for (int64_t k = 0; k < raw.numel(); k += 7) values[i].push_back(raw.const_data_ptr<float>()[k]);
    }
  });
  std::vector<float> all;
  for (const auto& part : values) all.insert(all.end(), part.begin(), part.end());
  const auto at = static_cast<std::ptrdiff_t>(settings_.label.quantile * static_cast<double>(all.size() - 1));
  std::nth_element(all.begin(), all.begin() + at, all.end());
  return std::max(1e-4, static_cast<double>(all[at]));
}

}  // namespace finpercep
