// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

constexpr int64_t probed_samples = 200;  // that the scale of a part of the label is measured on

Image part(const Image& image, int x, int y, int side, int size, bool picture) {
  const Image cut = crop(image, x, y, side, side);
  if (side == size) return cut;
  // Masks and labels must stay within their range: no kernel with negative lobes.
  Image out = resize(cut, size, size, picture ? Resize::bicubic_aa : side > size ? Resize::area : Resize::bilinear);
  clamp_unit(out);
  return out;
}

struct Recolour {
  float gain, gamma, saturation;
};

void recolour(Image& image, const Recolour& c) {
  for (std::size_t i = 0; i < image.plane_size(); ++i) {
    float* rgb[] = {image.plane(0) + i, image.plane(1) + i, image.plane(2) + i};
    const float luma = 0.299f * *rgb[0] + 0.587f * *rgb[1] + 0.114f * *rgb[2];
    for (float* v : rgb) *v = std::min(1.0f, c.gain * std::pow(std::clamp(luma + c.saturation * (*v - luma), 0.0f, 1.0f), c.gamma));
  }
}

// A part of the raw difference behind a label: alpha L1, or the rest of it. The rest is a lower bound where the label is 1.
Image raw_part(const FgrSample& sample, const LabelSettings& label, bool pixel) {
  Image out = pixel_difference(sample.gt, compose(sample.gt, sample.sr, sample.mask));
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    if (sample.mask.data[i] < 0.5f / 255) out.data[i] = 0;
    else if (!pixel) out.data[i] = std::max(0.0f, static_cast<float>(sample.label.data[i] * label.scale - label.alpha * out.data[i]));
  }
  return out;
}

double sum(const Image& image) {
  double total = 0;
  for (float v : image.data) total += v;
  return total;
}

}  // namespace

void SampleSettings::visit(SettingsVisitor& v) {
  v.field("size", size, "side of the pictures trained on, pixels", {.min = 32, .max = 2048});
  v.field("zoom", zoom, "a part of size / zoom pixels is resized to size, [low, high]", {.min = 0.25, .max = 8, .rising = true});
  v.field("colour_prob", colour_prob, "share recoloured by gain, gamma and saturation", {.min = 0, .max = 1});
  v.group("variation", variation, "done to clean, swapped and SR pictures alike");
  v.choice("label_part", label_part, "of the label: both differences (the paper), or pixel or feature alone", {"both", "pixel", "feature"});
}

void take_colours(const std::vector<at::Tensor*>& pictures, double share, Random random) {
  if (share == 0) return;
  const int64_t n = pictures.at(0)->size(0);
  std::vector<float> gray(n);
  for (float& g : gray) g = random.chance(share) ? 1 : 0;
  const at::Tensor taken = at::tensor(gray).view({n, 1, 1, 1}).to(pictures[0]->device());
  const at::Tensor luma = at::tensor({0.299f, 0.587f, 0.114f}).view({1, 3, 1, 1}).to(pictures[0]->device());
  for (at::Tensor* picture : pictures) *picture = at::where(taken > 0, (*picture * luma).sum(1, true), *picture);
}

FgrSampler::FgrSampler(const FgrSet& set, const SampleSettings& settings, uint64_t seed) : set_(set), settings_(settings), seed_(seed) {
  if (settings.label_part == "both") return;
  if (set.label().normalize == "image")
    throw usage_error("samples.label_part: expected both for a set of label.normalize image, whose labels have a scale each");
  // One part alone gets the scale that leaves the mean label as it is.
  double whole = 0, parts = 0;
  for (int64_t i = 0; i < std::min(probed_samples, set.size()); ++i) {
    const FgrSample sample = set.sample(i * set.size() / std::min(probed_samples, set.size()));
    whole += sum(sample.label);
    parts += sum(raw_part(sample, set.label(), settings.label_part == "pixel"));
  }
  part_scale_ = parts > 0 ? whole / parts : 1;
}

Image FgrSampler::part_of_label(const FgrSample& sample) const {
  Image out = raw_part(sample, set_.label(), settings_.label_part == "pixel");
  for (float& v : out.data) v = std::min(1.0f, static_cast<float>(v * part_scale_));
  return out;
}

FgrBatch FgrSampler::batch(int64_t batch_size, int64_t iter) const {
  std::vector<Image> gt, sr, syn, mask, label;
  std::vector<int64_t> order;
  for (int64_t n = 0; n < batch_size; ++n) {
    const int64_t draw = iter * batch_size + n, epoch = draw / set_.size();
    if (n == 0 || draw % set_.size() == 0) order = Random(seed_, "epoch", static_cast<uint64_t>(epoch)).permutation(set_.size());
    FgrSample sample = set_.sample(order[draw % set_.size()]);
    if (settings_.label_part != "both") sample.label = part_of_label(sample);

    Random random(seed_, "augment", static_cast<uint64_t>(draw));
    const int whole = std::min(sample.gt.width, sample.gt.height), size = std::min(static_cast<int>(settings_.size), set_.side());
    const double zoom = std::exp(random.uniform(std::log(settings_.zoom[0]), std::log(settings_.zoom[1])));
    const int side = std::clamp(static_cast<int>(std::lround(size / zoom)), 8, whole);
    const int x = static_cast<int>(random.integer(0, sample.gt.width - side)),
              y = static_cast<int>(random.integer(0, sample.gt.height - side));
    const bool mirror = random.chance(0.5);
    for (Image* image : {&sample.gt, &sample.sr, &sample.mask, &sample.label}) {
      *image = part(*image, x, y, side, size, image->channels == 3);
      if (mirror) *image = flip_horizontal(*image);
    }
    if (random.chance(settings_.colour_prob)) {
      const auto drawn = [&](double low, double high) { return static_cast<float>(random.uniform(low, high)); };
      const Recolour c{drawn(0.75, 1.2), std::exp(drawn(-0.3, 0.3)), drawn(0.3, 1.3)};
      recolour(sample.gt, c);
      recolour(sample.sr, c);
    }
    Image swapped = compose(sample.gt, sample.sr, sample.mask);
    if (const std::string kind = draw_variation(settings_.variation, random); !kind.empty()) {
      for (Image* image : {&sample.gt, &sample.sr, &swapped}) {
        Random same = random;
        *image = vary(*image, kind, settings_.variation, same);
      }
    }
    gt.push_back(std::move(sample.gt));
    sr.push_back(std::move(sample.sr));
    syn.push_back(std::move(swapped));
    mask.push_back(std::move(sample.mask));
    label.push_back(std::move(sample.label));
  }
  return {to_batch(gt), to_batch(sr), to_batch(syn), to_batch(mask), to_batch(label)};
}

}  // namespace finpercep
