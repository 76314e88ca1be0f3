// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/parallel.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

namespace {

constexpr int64_t probed_crops = 64;  // that the label's scale is measured on

// Mean of min(1, value / scale) weighted by the mask.
double severity(const float* values, const Image& mask, double scale) {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mask.data.size(); ++i) {
    weight += mask.data[i];
    sum += mask.data[i] * std::min(1.0, values[i] / scale);
  }
  return weight > 0 ? sum / weight : 0;
}

// At least 1e-4: it is divided by.
double quantile(std::vector<float> values, double q) {
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return std::max(1e-4, static_cast<double>(values[at]));
}

// EfficientNet's small distances do not stand bf16; DINO's do.
at::ScalarType feature_type(const FgrSettings& settings, const Compute& compute) {
  return settings.label.features == "efficientnet" ? at::kFloat : compute.dtype;
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
  v.choice("photo_order", photo_order,
           "which photograph a crop is cut from: any by chance (random), or each as often as the others (in_turn)", {"random", "in_turn"});
  v.group("degradation", degradation, "how LR pictures are made for the generators");
  v.group("strong_degradation", strong_degradation, "the same for a share of them, so that one net fails mildly and severely");
  v.field("strong_prob", strong_prob, "that share", {.min = 0, .max = 1});
  v.field("sources", sources,
          "who makes I_SR: model names or files, TorchScript too, bicubic, distort or distort-all, folders of pictures made elsewhere");
  v.field("source_weights", source_weights, "chance of each source, in proportion; empty: equal", {.min = 0, .max = 1e6});
  v.field("samples_per_crop", samples_per_crop, "samples made of one clean crop", {.min = 1, .max = 64});
  v.field("sources_per_crop", sources_per_crop, "pictures I_SR made of one clean crop", {.min = 1, .max = 64});
  v.group("masks", masks, "regions");
  v.field("mask_candidates", mask_candidates, "I_SR and masks drawn for one kept, which keeps the severities flat; 1 takes the first",
          {.min = 1, .max = 64});
  v.field("whole_prob", whole_prob, "share of whole SR pictures", {.min = 0, .max = 1});
  v.field("whole_first", whole_first, "the first sample of every crop is a whole SR picture");
  v.field("clean_prob", clean_prob, "share of clean-into-clean swaps, whose label is zero", {.min = 0, .max = 1});
  v.group("clean_variation", clean_variation, "clean photographs that are less than crisp");
  v.group("label", label, "M_gt");
  v.field("device", device, "cpu, cuda, cuda:N or auto");
  v.field("dtype", dtype, "fp32, bf16 or auto, for the generators");
}

namespace {

// What is wrong with the settings is said before photographs are read and nets are loaded.
const FgrSettings& checked(const FgrSettings& settings) {
  if (settings.size % 32 != 0) throw usage_error(fmt::format("size: expected a multiple of 32, found {}", settings.size));
  if (!settings.source_weights.empty() && settings.source_weights.size() != settings.sources.size())
    throw usage_error(fmt::format("source_weights: expected a number for each of {} sources, found {}", settings.sources.size(),
                                  settings.source_weights.size()));
  const int64_t scale = settings.degradation.scale, strong = settings.strong_degradation.scale;
  if (strong != scale)
    throw usage_error(fmt::format("strong_degradation.scale: expected {}, that of degradation, found {}", scale, strong));
  if (settings.size % scale != 0)
    throw usage_error(fmt::format("size: expected a multiple of degradation.scale, {}, found {}", scale, settings.size));
  if (!settings.source_weights.empty() && std::ranges::all_of(settings.source_weights, [](double w) { return w == 0; }))
    throw usage_error("source_weights: expected one above 0, found none");
  return settings;
}

}  // namespace

FgrBuilder::FgrBuilder(const FgrSettings& settings, double label_scale)
    : settings_(checked(settings)),
      compute_(resolve_compute(settings.device, settings.dtype)),
      photos_(settings.photos, static_cast<int>(settings.size)),
      features_(compute_.device, settings.label.features, feature_type(settings, compute_)),
      segments_(photos_, settings.masks, static_cast<uint64_t>(settings.manual_seed), compute_.device) {
  sources_ = make_sources(settings.sources, photos_, {settings.degradation, settings.strong_degradation, settings.strong_prob}, compute_);
  for (int64_t photo = 0; photo < photos_.size(); ++photo)  // now, not hours into the build
    if (std::ranges::all_of(chances_of(photo), [](double c) { return c == 0; }))
      throw input_error(fmt::format("sources: expected one that has the photograph '{}', found none. add distort or bicubic to sources",
                                    photos_.name(photo)));
  if (label_scale > 0) settings_.label.scale = label_scale;
  if (settings_.label.scale == 0) settings_.label.scale = measure_scale();
}

// Pictures N x 3 x H x W against the clean crop; N x 1 x H x W, zero outside the masks.
at::Tensor FgrBuilder::difference(const Drawn& drawn, const at::Tensor& pictures, const at::Tensor& masks) const {
  return raw_difference(features_, drawn.features, to_tensor(drawn.gt).to(compute_.device), pictures, masks, settings_.label.alpha)
      .to(at::kCPU, at::kFloat)
      .contiguous();
}

// Of each source, for a crop of this photograph.
std::vector<double> FgrBuilder::chances_of(int64_t photo) const {
  std::vector<double> chances(sources_.size());
  for (std::size_t k = 0; k < sources_.size(); ++k)
    chances[k] = sources_[k].has(photo) ? settings_.source_weights.empty() ? 1 : settings_.source_weights[k] : 0;
  return chances;
}

FgrBuilder::Drawn FgrBuilder::draw(int64_t crop) const {
  const auto seed = static_cast<uint64_t>(settings_.manual_seed);
  Random random(seed, "fgr", static_cast<uint64_t>(crop));
  Drawn drawn;
  const int size = static_cast<int>(settings_.size);
  drawn.crop =
      settings_.photo_order == "in_turn" ? photos_.random_crop(crop % photos_.size(), size, random) : photos_.random_crop(size, random);
  const Image photo = photos_.cut(drawn.crop);
  const std::vector<double> chances = chances_of(drawn.crop.photo);
  std::vector<Image> pictures;
  for (int64_t k = 0; k < settings_.sources_per_crop; ++k) {
    const FgrSource& source = sources_[random.pick(chances)];
    drawn.made.push_back(source.make({drawn.crop, photo, seed, static_cast<uint64_t>(crop * settings_.sources_per_crop + k)}));
    round_to_bytes(drawn.made.back().image);  // what is stored has 8 bits; the label must belong to what is stored
    pictures.push_back(drawn.made.back().image);
  }
  drawn.gt = photo;
  drawn.variation = draw_variation(settings_.clean_variation, random);  // I_SR stays as the generator made it
  if (!drawn.variation.empty()) drawn.gt = vary(photo, drawn.variation, settings_.clean_variation, random);
  round_to_bytes(drawn.gt);
  const at::Tensor batch = to_batch(pictures).to(compute_.device);
  if (settings_.label.alpha < 1) drawn.features = features_.maps(to_tensor(drawn.gt).to(compute_.device));
  drawn.raw = difference(drawn, batch, at::ones({batch.size(0), 1, batch.size(2), batch.size(3)}, batch.options())).unbind(0);
  return drawn;
}

// Of some I_SR and masks the pair whose severity is nearest to a flat draw. All candidates share one draw of the area, so that choosing
// leaves the areas as they were drawn.
Image FgrBuilder::choose_mask(const Drawn& drawn, bool clean, std::size_t& made, std::string& kind, Random& random) const {
  const int size = static_cast<int>(settings_.size);
  MaskSettings masks = settings_.masks;
  const double area = draw_area(masks, random), wanted = random.uniform();
  masks.area = {area, area};
  Image best;
  double nearest = 2;
  std::optional<SegmentSet::Found> segments;
  for (int64_t k = 0; k < (clean ? 1 : settings_.mask_candidates); ++k) {
    const auto candidate = static_cast<std::size_t>(random.integer(0, static_cast<int64_t>(drawn.made.size()) - 1));
    std::string name;
    std::optional<Image> mask;
    if (random.chance(masks.semantic_prob)) {
      if (!segments) segments = segments_.of(drawn.crop);
      name = segments->kind;
      mask = semantic_mask(segments->map, masks, random);
    }
    if (!mask) {
      name = masks.kinds[random.integer(0, static_cast<int64_t>(masks.kinds.size()) - 1)];
      mask = random_mask(name, size, size, masks, random);
    }
    const double distance = std::abs(severity(drawn.raw[candidate].const_data_ptr<float>(), *mask, settings_.label.scale) - wanted);
    if (distance >= nearest) continue;
    nearest = distance;
    best = std::move(*mask);
    kind = name;
    made = candidate;
  }
  return best;
}

FgrSample FgrBuilder::swap(const Drawn& drawn, int64_t index) const {
  const int size = static_cast<int>(settings_.size);
  Random random(static_cast<uint64_t>(settings_.manual_seed), "swap", static_cast<uint64_t>(index));
  FgrSample sample;
  sample.gt = drawn.gt;
  sample.facts = {.index = index,
                  .photo = photos_.name(drawn.crop.photo),
                  .x = drawn.crop.x,
                  .y = drawn.crop.y,
                  .mirrored = drawn.crop.mirrored,
                  .source = {},
                  .mask = "whole",
                  .variation = drawn.variation};
  const bool first = settings_.whole_first && index % per_crop() == 0;
  const bool clean = random.chance(settings_.clean_prob) && !first, whole = random.chance(settings_.whole_prob) || first;
  auto made = static_cast<std::size_t>(random.integer(0, static_cast<int64_t>(drawn.made.size()) - 1));
  sample.mask = whole ? Image(size, size, 1, 1.0f) : choose_mask(drawn, clean, made, sample.facts.mask, random);
  SourcePicture picture = clean ? clean_picture(photos_, drawn.crop, drawn.gt, random) : drawn.made[made];
  sample.sr = std::move(picture.image);
  sample.facts.source = std::move(picture.name);
  round_to_bytes(sample.mask);
  sample.facts.area = filled(sample.mask);
  return sample;
}

std::vector<FgrSample> FgrBuilder::samples_of(int64_t crop) const {
  at::NoGradGuard no_grad;
  const Drawn drawn = draw(crop);
  std::vector<FgrSample> samples;
  std::vector<std::size_t> labelled;  // the others are clean: zero by construction
  std::vector<Image> sr, masks;
  const int64_t first = crop * per_crop(), end = std::min(first + per_crop(), settings_.count);
  for (int64_t index = first; index < end; ++index) {
    samples.push_back(swap(drawn, index));
    samples.back().label = Image(samples.back().gt.width, samples.back().gt.height, 1);
    if (is_control(samples.back().facts)) continue;
    labelled.push_back(samples.size() - 1);
    sr.push_back(samples.back().sr);
    masks.push_back(samples.back().mask);
  }
  if (labelled.empty()) return samples;
  const at::Tensor mask = to_batch(masks).to(compute_.device);
  const at::Tensor syn = compose(to_tensor(drawn.gt).to(compute_.device), to_batch(sr).to(compute_.device), mask);
  const auto raw = difference(drawn, syn, mask).split(1, 0);
  for (std::size_t k = 0; k < labelled.size(); ++k) {
    FgrSample& sample = samples[labelled[k]];
    sample.label = to_image(normalize_label(raw[k], label_scale_of(raw[k], sample.mask)));
    sample.facts.severity = severity(sample.label.data.data(), sample.mask, 1);
  }
  return samples;
}

// Normalize: by the set's scale, or by the picture's own quantile.
double FgrBuilder::label_scale_of(const at::Tensor& raw, const Image& mask) const {
  if (settings_.label.normalize == "dataset") return settings_.label.scale;
  std::vector<float> inside;
  const float half = 0.5f * *std::ranges::max_element(mask.data);  // a small feathered mask may be soft everywhere
  for (std::size_t i = 0; i < mask.data.size(); ++i)
    if (mask.data[i] > half) inside.push_back(raw.const_data_ptr<float>()[i]);
  return inside.empty() ? settings_.label.scale : quantile(std::move(inside), settings_.label.quantile);
}

// The quantile of raw differences of whole I_SR over a fixed part of the set: the same for every shard and thread count.
double FgrBuilder::measure_scale() const {
  const int64_t probes = std::min(crops(), probed_crops);
  std::vector<std::vector<float>> values(probes);
  parallel_for(probes, threads(), [&](int64_t i) {
    stop_if_interrupted("while measuring the scale of labels; nothing was saved");
    const OneThread one_thread;
    at::NoGradGuard no_grad;
    for (const at::Tensor& raw : draw(i).raw)
      for (int64_t k = 0; k < raw.numel(); k += 7) values[i].push_back(raw.const_data_ptr<float>()[k]);
  });
  std::vector<float> all;
  for (const auto& part : values) all.insert(all.end(), part.begin(), part.end());
  return quantile(std::move(all), settings_.label.quantile);
}

}  // namespace finpercep
