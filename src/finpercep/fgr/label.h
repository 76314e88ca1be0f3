// SPDX-License-Identifier: Apache-2.0
// Composition and labels of FGR-30k: I_syn = M I_SR + (1 - M) I_GT and M_gt = Normalize(alpha Diff_pixel + (1 - alpha) Diff_feat).
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "finpercep/base/settings.h"
#include "finpercep/image.h"
#include "finpercep/nets/dino.h"
#include "finpercep/nets/efficientnet.h"

namespace finpercep {

struct LabelSettings {
  double alpha = 0.6;                     ///< weight of the pixel difference; the paper does not give its value
  double scale = 0;                       ///< raw difference that becomes 1 (Normalize); 0: the quantile below over the data set
  std::string normalize = "dataset";      ///< by one scale for the set, or for each "image" by its own quantile
  double quantile = 0.95;                 ///< of the raw differences that gives either
  std::string features = "efficientnet";  ///< what the feature distance is taken of: efficientnet, dinov2 or dinov3 (the paper's)
  void visit(SettingsVisitor& v);
};

/// The file of the net of `label.features`; model_error where it is absent.
std::filesystem::path label_weight_file(const std::string& features);

/// Frozen features whose distance tells what a viewer would call different: EfficientNet-Lite0 (ImageNet) at strides 4, 8 and 16, or the
/// patch tokens of DINO after blocks 3, 6 and 9. A token sees the whole picture, so a swap moves tokens outside of it as well, if little;
/// there, the mask makes the label zero.
class LabelFeatures {
 public:
  /// `dtype` bf16: mixed precision, for the speed of it.
  explicit LabelFeatures(at::Device device, const std::string& features = LabelSettings().features, at::ScalarType dtype = at::kFloat);

  /// The features of pictures, to be reused: a clean photo is compared with many pictures made of it.
  struct Maps {
    std::vector<at::Tensor> levels;               ///< N x C x h x w, fine to coarse
    int64_t height = 0, width = 0;                ///< of the pictures
    int64_t padded_height = 0, padded_width = 0;  ///< what the maps cover: filled at the right and the bottom
  };
  /// x: N x 3 x H x W RGB in [0,1], any size.
  Maps maps(const at::Tensor& x) const;
  /// 1 - cosine similarity per location, up-sampled and averaged over the levels: N x 1 x H x W in [0, 2].
  at::Tensor distance(const Maps& a, const Maps& b) const;
  at::Tensor distance(const at::Tensor& a, const at::Tensor& b) const;

  int64_t unit() const { return dino_ ? dino_->patch : 32; }  ///< pictures are filled up to multiples of it
  const NamedTensors& tensors() const { return params_.named(); }
  /// The method `maps(self, x: Tensor) -> List[Tensor]` in TorchScript, for sides that are multiples of unit(): label_export.cpp.
  std::string script() const;

 private:
  // A label must say where. The later a block, the more a swap moves tokens outside of it: of blurred, noisy, JPEG-ed and 4 x enlarged
  // squares in 20 photographs, the distance inside is 200 to 560 times that outside after block 3, 75 after 6, 25 to 30 after 9, and 4 to 6
  // at the end (tests/parity/dino_locality.py).
  inline static const std::vector<int64_t> dino_layers = {3, 6, 9};
  at::Device device_;
  at::ScalarType dtype_;
  Params params_;
  std::optional<EfficientNetLite0> efficientnet_;
  std::optional<Dino> dino_;
};

/// I_syn. All N x C x H x W; mask N x 1 x H x W in [0,1].
at::Tensor compose(const at::Tensor& gt, const at::Tensor& sr, const at::Tensor& mask);
Image compose(const Image& gt, const Image& sr, const Image& mask);

/// Diff_pixel: mean over channels of |a - b|, one channel. Pictures of one size.
Image pixel_difference(const Image& a, const Image& b);

/// alpha * mean_c |gt - syn| + (1 - alpha) * feature distance, zero outside the mask: N x 1 x H x W, not normalised.
at::Tensor raw_difference(const LabelFeatures& features, const at::Tensor& gt, const at::Tensor& syn, const at::Tensor& mask, double alpha);
/// The same with the clean pictures' features at hand: gt_maps = features.maps(gt).
at::Tensor raw_difference(const LabelFeatures& features, const LabelFeatures::Maps& gt_maps, const at::Tensor& gt, const at::Tensor& syn,
                          const at::Tensor& mask, double alpha);

/// Normalize: raw / scale, clamped to [0,1].
at::Tensor normalize_label(const at::Tensor& raw, double scale);

}  // namespace finpercep
