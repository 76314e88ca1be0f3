// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/label.h"

namespace finpercep {

void LabelSettings::visit(SettingsVisitor& v) {
  v.field("alpha", alpha, "weight of the pixel difference against the feature distance", {.min = 0, .max = 1});
  v.field("scale", scale, "raw difference that becomes 1; 0 takes the quantile over the data set", {.min = 0, .max = 10});
  v.field("quantile", quantile, "of the raw differences inside swapped regions", {.min = 0.5, .max = 1});
}

LabelFeatures::LabelFeatures(at::Device device) : params_(0), net_(params_) {
  const auto path = weight_file("efficientnet_lite0");
  load_imagenet(net_, read_safetensors(path, Checksum::if_present), path.string());
  params_.to(device, at::kFloat);
}

at::Tensor LabelFeatures::distance(const at::Tensor& a, const at::Tensor& b) const {
  at::NoGradGuard no_grad;
  const int64_t height = a.size(-2), width = a.size(-1), bottom = (32 - height % 32) % 32, right = (32 - width % 32) % 32;
  const at::Tensor both = at::replication_pad2d(at::cat({a, b}, 0), {0, right, 0, bottom});
  const auto taps = net_(both);
  at::Tensor sum = at::zeros({a.size(0), 1, height + bottom, width + right}, a.options().dtype(at::kFloat));
  for (int level : {1, 2, 3}) {
    const auto halves = taps[level].to(at::kFloat).chunk(2, 0);
    const at::Tensor distance = 1 - at::cosine_similarity(halves[0], halves[1], 1).unsqueeze(1);
    sum += upsample_to(distance, height + bottom, width + right) / 3;
  }
  return sum.narrow(-2, 0, height).narrow(-1, 0, width).clamp_min(0);
}

at::Tensor compose(const at::Tensor& gt, const at::Tensor& sr, const at::Tensor& mask) { return gt + mask * (sr - gt); }

at::Tensor raw_difference(const LabelFeatures& features, const at::Tensor& gt, const at::Tensor& syn, const at::Tensor& mask, double alpha) {
  const at::Tensor pixel = (gt - syn).abs().mean(1, true);
  at::Tensor raw = alpha * pixel;
  if (alpha < 1) raw = raw + (1 - alpha) * features.distance(gt, syn);
  return raw * (mask > 0.5 / 255).to(at::kFloat);
}

at::Tensor normalize_label(const at::Tensor& raw, double scale) { return (raw / scale).clamp(0, 1); }

}  // namespace finpercep
