// SPDX-License-Identifier: Apache-2.0
// FGR samples and how they are made: a crop of a clean photograph, what generators make of its degraded form, regions to swap, labels.
#pragma once
#include <string>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/fgr/facts.h"
#include "finpercep/fgr/label.h"
#include "finpercep/fgr/mask.h"
#include "finpercep/fgr/source.h"
#include "finpercep/fgr/variation.h"

namespace finpercep {

struct FgrSettings {
  int64_t count = 2000;
  int64_t size = 192;                                         ///< side of a sample, pixels
  int64_t manual_seed = 0;
  PhotoSettings photos;
  DegradeSettings degradation;
  std::vector<std::string> sources = {"sr-small", "bicubic", "distort"};  ///< see make_sources()
  std::vector<double> source_weights = {};                    ///< chance of each, in proportion; empty: equal
  /// A crop gives sources_per_crop * masks_per_source samples, which share the features of the clean crop and, by twos or more, an I_SR: those
  /// two cost most of the time.
  int64_t sources_per_crop = 2, masks_per_source = 2;
  MaskSettings masks;
  int64_t mask_candidates = 8;                                ///< masks drawn for one kept: the one whose severity is nearest to a flat draw
  double whole_prob = 0.2;                                    ///< whole SR pictures: the mask is 1 everywhere
  double clean_prob = 0.1;                                    ///< clean swapped into clean: the label is zero, a seam control
  VariationSettings clean_variation;
  LabelSettings label;
  std::string device = "auto";
  std::string dtype = "auto";
  void visit(SettingsVisitor& v);
};

/// I_syn follows from the rest (compose); the label is normalised. All values are multiples of 1/255, as stored, but for the label's.
struct FgrSample {
  Image gt, sr, mask, label;
  FgrFacts facts;
};

/// Makes samples; the same index gives the same sample, in any order and on any thread.
class FgrBuilder {
 public:
  /// `label_scale` > 0 is taken instead of being measured (it is known when a build goes on).
  explicit FgrBuilder(const FgrSettings& settings, double label_scale = 0);

  int64_t per_crop() const { return settings_.sources_per_crop * settings_.masks_per_source; }
  int64_t crops() const { return (settings_.count + per_crop() - 1) / per_crop(); }
  /// The samples [crop * per_crop(), ..) that share crop number `crop`; the last one may have fewer.
  std::vector<FgrSample> samples_of(int64_t crop) const;

  const FgrSettings& settings() const { return settings_; }
  const PhotoSet& photos() const { return photos_; }
  double label_scale() const { return settings_.label.scale; }

 private:
  struct Drawn {  // a crop and what its sources made of it
    PhotoCrop crop;
    Image gt;
    std::string variation;
    std::vector<SourcePicture> made;
  };
  Drawn draw(int64_t crop) const;
  FgrSample swap(const Drawn& drawn, int64_t index, const at::Tensor& raw) const;
  double measure_scale() const;

  FgrSettings settings_;
  Compute compute_;
  PhotoSet photos_;
  LabelFeatures features_;
  std::vector<FgrSource> sources_;
};

}  // namespace finpercep
