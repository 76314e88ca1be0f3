// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/label.h"

#include <fmt/format.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/nets/pretrained.h"

namespace finpercep {

void LabelSettings::visit(SettingsVisitor& v) {
  v.field("alpha", alpha, "weight of the pixel difference against the feature distance", {.min = 0, .max = 1});
  v.field("scale", scale, "raw difference that becomes 1; 0 takes the quantile over the data set", {.min = 0, .max = 10});
  v.choice("normalize", normalize, "by one scale for the whole set (dataset) or by each picture's own quantile (image)",
           {"dataset", "image"});
  v.field("quantile", quantile, "of the raw differences that gives the scale", {.min = 0.5, .max = 1});
  v.choice("features", features, "net of the feature distance", {"efficientnet", "dinov2", "dinov3"});
}

namespace {

DinoVersion dino_of(const std::string& features) { return features == "dinov2" ? DinoVersion::v2 : DinoVersion::v3; }

}  // namespace

std::filesystem::path label_weight_file(const std::string& features) {
  if (features == "efficientnet") return weight_file("efficientnet_lite0");
  return dino_weight_file(dino_of(features));
}

LabelFeatures::LabelFeatures(at::Device device, const std::string& features, at::ScalarType dtype)
    : device_(device), dtype_(dtype), params_(std::nullopt) {
  if (features == "efficientnet") {
    const auto path = label_weight_file(features);
    load_imagenet(efficientnet_.emplace(params_), read_safetensors(path, Checksum::if_present), path.string());
  } else if (features == "dinov2" || features == "dinov3") {
    const DinoVersion version = dino_of(features);
    load_pretrained(dino_.emplace(params_, version), version);
  } else {
    throw usage_error(fmt::format("label.features: expected efficientnet, dinov2 or dinov3, found '{}'", features));
  }
  params_.to(device, at::kFloat);
}

LabelFeatures::Maps LabelFeatures::maps(const at::Tensor& x) const {
  at::NoGradGuard no_grad;
  const MixedPrecision precision(device_, dtype_);
  const int64_t height = x.size(-2), width = x.size(-1);
  const int64_t bottom = (unit() - height % unit()) % unit(), right = (unit() - width % unit()) % unit();
  if (dino_) return {dino_->tokens(x, dino_layers), height, width, height + bottom, width + right};
  const auto fine = efficientnet_->lower(at::replication_pad2d(x, {0, right, 0, bottom}));
  const at::Tensor at_stride_16 = efficientnet_->stride_16(fine[2]);
  return {{fine[1].to(at::kFloat), fine[2].to(at::kFloat), at_stride_16.to(at::kFloat)}, height, width, height + bottom, width + right};
}

at::Tensor LabelFeatures::distance(const Maps& a, const Maps& b) const {
  at::NoGradGuard no_grad;
  at::Tensor sum;
  for (std::size_t level = 0; level < a.levels.size(); ++level) {
    const at::Tensor distance = 1 - at::cosine_similarity(a.levels[level], b.levels[level], 1).unsqueeze(1);
    const at::Tensor part = upsample_to(distance, a.padded_height, a.padded_width) / static_cast<double>(a.levels.size());
    sum = sum.defined() ? sum + part : part;
  }
  return sum.narrow(-2, 0, a.height).narrow(-1, 0, a.width).clamp_min(0);
}

// Two passes: one of both together took 1.4 times as long (EfficientNet, 256 x 256, a thread), or the same (DINO).
at::Tensor LabelFeatures::distance(const at::Tensor& a, const at::Tensor& b) const { return distance(maps(a), maps(b)); }

at::Tensor compose(const at::Tensor& gt, const at::Tensor& sr, const at::Tensor& mask) { return gt + mask * (sr - gt); }

Image compose(const Image& gt, const Image& sr, const Image& mask) {
  Image out = gt;
  for (int c = 0; c < out.channels; ++c)
    for (std::size_t i = 0; i < out.plane_size(); ++i) out.plane(c)[i] += mask.data[i] * (sr.plane(c)[i] - out.plane(c)[i]);
  return out;
}

Image pixel_difference(const Image& a, const Image& b) {
  Image out(a.width, a.height, 1);
  for (int c = 0; c < a.channels; ++c)
    for (std::size_t i = 0; i < out.data.size(); ++i)
      out.data[i] += std::abs(a.plane(c)[i] - b.plane(c)[i]) / static_cast<float>(a.channels);
  return out;
}

at::Tensor raw_difference(const LabelFeatures& features, const LabelFeatures::Maps& gt_maps, const at::Tensor& gt, const at::Tensor& syn,
                          const at::Tensor& mask, double alpha) {
  at::Tensor raw = alpha * (gt - syn).abs().mean(1, true);
  if (alpha < 1) raw = raw + (1 - alpha) * features.distance(gt_maps, features.maps(syn));
  return raw * (mask > 0.5 / 255).to(at::kFloat);
}

at::Tensor raw_difference(const LabelFeatures& features, const at::Tensor& gt, const at::Tensor& syn, const at::Tensor& mask,
                          double alpha) {
  return raw_difference(features, alpha < 1 ? features.maps(gt) : LabelFeatures::Maps(), gt, syn, mask, alpha);
}

at::Tensor normalize_label(const at::Tensor& raw, double scale) { return (raw / scale).clamp(0, 1); }

}  // namespace finpercep
