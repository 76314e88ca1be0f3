// SPDX-License-Identifier: Apache-2.0
// One FGR sample and where it comes from.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/fgr/label.h"
#include "finpercep/fgr/mask.h"
#include "finpercep/generate/generator.h"

namespace finpercep {

struct FgrSettings {
  int64_t count = 2000;
  int64_t size = 192;                                         ///< side of a sample, pixels
  int64_t manual_seed = 0;
  PhotoSettings photos;
  DegradeSettings degradation;
  std::vector<std::string> sources = {"sr-small", "bicubic", "distort"};  ///< generators, "bicubic", "distort" (a local defect of the clean photo)
  MaskSettings masks;
  double whole_prob = 0.2;                                    ///< whole SR pictures: the mask is 1 everywhere
  double clean_prob = 0.1;                                    ///< clean swapped into clean: the label is zero, a seam control
  LabelSettings label;
  std::string device = "auto";
  std::string dtype = "auto";
  void visit(SettingsVisitor& v);
};

/// I_syn follows from the rest (compose); the label is normalised.
struct FgrSample {
  Image gt, sr, mask, label;
  std::string source, mask_kind;
};

/// Makes samples; the same index gives the same sample, in any order and on any thread.
class FgrBuilder {
 public:
  FgrBuilder(const FgrSettings& settings);
  FgrSample sample(int64_t index) const;
  const FgrSettings& settings() const { return settings_; }
  double label_scale() const { return settings_.label.scale; }

 private:
  struct Parts {
    Image gt, sr, mask;
    std::string source, mask_kind;
  };
  Parts parts(int64_t index) const;
  at::Tensor raw_label(const Parts& parts) const;
  double measure_scale() const;

  FgrSettings settings_;
  Compute compute_;
  PhotoSet photos_;
  LabelFeatures features_;
  std::vector<std::pair<std::string, SuperResolver>> generators_;
};

/// All samples of the settings, made in parallel, 8 bits a value.
class FgrSet {
 public:
  explicit FgrSet(const FgrBuilder& builder);
  /// Reads a directory of shards (shards.h).
  explicit FgrSet(const std::filesystem::path& directory);
  int64_t size() const { return static_cast<int64_t>(samples_.size()); }
  FgrSample sample(int64_t index) const;
  double label_scale() const { return label_scale_; }
  double alpha() const { return alpha_; }

 private:
  struct Packed {
    int width, height;
    std::vector<uint8_t> gt, sr, mask, label;
    std::string source, mask_kind;
  };
  static Packed pack(const FgrSample& sample);
  std::vector<Packed> samples_;
  double label_scale_ = 1, alpha_ = 0.6;
};

}  // namespace finpercep
