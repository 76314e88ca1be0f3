// SPDX-License-Identifier: Apache-2.0
// FGR samples and how they are made: a crop of a clean photograph, what generators make of its degraded form, regions to swap, labels.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "finpercep/base/parallel.h"
#include "finpercep/degrade/photos.h"
#include "finpercep/degrade/variation.h"
#include "finpercep/fgr/facts.h"
#include "finpercep/fgr/label.h"
#include "finpercep/fgr/mask.h"
#include "finpercep/fgr/segments.h"
#include "finpercep/fgr/source.h"

namespace finpercep {

struct FgrSettings {
  int64_t count = 2000;
  int64_t size = 192;  ///< side of a sample, pixels
  int64_t manual_seed = 0;
  PhotoSettings photos;
  std::string photo_order = "random";  ///< in_turn: crop i is cut from photograph i mod their number, so that a test set holds each equally
  DegradeSettings degradation;
  DegradeSettings strong_degradation;  ///< taken for this share of the generators' inputs: mild and severe failures of one net
  double strong_prob = 0;
  std::vector<std::string> sources = {"sr-small", "bicubic", "distort"};  ///< see make_sources()
  std::vector<double> source_weights = {};                                ///< chance of each, in proportion; empty: equal
  /// A crop gives this many samples, made of this many I_SR: they share the features of the clean crop and pictures, which cost most of the
  /// time.
  int64_t samples_per_crop = 4, sources_per_crop = 2;
  MaskSettings masks;
  int64_t mask_candidates = 8;  ///< I_SR and masks drawn for one kept: the one whose severity is nearest to a flat draw
  double whole_prob = 0.2;      ///< whole SR pictures: the mask is 1 everywhere
  bool whole_first = false;     ///< the first sample of every crop is a whole SR picture, whatever the chances
  double clean_prob = 0.1;      ///< clean swapped into clean: the label is zero, a seam control
  VariationSettings clean_variation;
  LabelSettings label;
  std::string device = "auto";
  std::string dtype = "auto";
  void visit(SettingsVisitor& v);
};

/// Threads, for parallel_for, to call nets on `device` from: a GPU has one queue, and each caller takes some of its memory.
inline int callers_of(at::Device device) { return device.is_cuda() ? std::min(4, default_threads()) : 0; }

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

  int64_t per_crop() const { return settings_.samples_per_crop; }
  int64_t crops() const { return (settings_.count + per_crop() - 1) / per_crop(); }
  /// The samples [crop * per_crop(), ..) that share crop number `crop`; the last one may have fewer.
  std::vector<FgrSample> samples_of(int64_t crop) const;

  const FgrSettings& settings() const { return settings_; }
  const PhotoSet& photos() const { return photos_; }
  double label_scale() const { return settings_.label.scale; }
  /// That samples_of() is to be called from, for parallel_for.
  int threads() const { return callers_of(compute_.device); }

 private:
  struct Drawn {  // a crop and what its sources made of it
    PhotoCrop crop;
    Image gt;
    std::string variation;
    std::vector<SourcePicture> made;
    std::vector<at::Tensor> raw;   // difference of each whole I_SR, H x W: it tells the severity of any mask before its label is made
    LabelFeatures::Maps features;  // of gt
  };
  std::vector<double> chances_of(int64_t photo) const;
  Drawn draw(int64_t crop) const;
  FgrSample swap(const Drawn& drawn, int64_t index) const;
  Image choose_mask(const Drawn& drawn, bool clean, std::size_t& made, std::string& kind, Random& random) const;
  at::Tensor difference(const Drawn& drawn, const at::Tensor& pictures, const at::Tensor& masks) const;
  double label_scale_of(const at::Tensor& raw, const Image& mask) const;
  double measure_scale() const;

  FgrSettings settings_;
  Compute compute_;
  PhotoSet photos_;
  LabelFeatures features_;
  SegmentSet segments_;
  std::vector<FgrSource> sources_;
};

}  // namespace finpercep
