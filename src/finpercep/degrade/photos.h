// SPDX-License-Identifier: Apache-2.0
// Clean photographs in memory and the training pairs cut from them.
#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "finpercep/base/spilling_memory.h"
#include "finpercep/degrade/pipeline.h"
#include "finpercep/degrade/variation.h"

namespace finpercep {

struct PhotoSettings {
  std::vector<std::string> photos = {};  ///< files, folders, globs
  std::string exclude = "";              ///< text file of stems that stay out (the validation split)
  std::string only = "";                 ///< text file of stems: nothing else is taken
  int64_t max_side = 1600;               ///< larger photographs are reduced to this (area average)
  bool strict = false;                   ///< a photograph that cannot be used ends the work instead of being skipped
  void visit(SettingsVisitor& v);
};

/// The stems of a file that exclude or only names, one a line; none for an empty path. A line that begins with '#' is a remark, and so is
/// what follows a blank and a '#'.
std::set<std::string> stems_in(const std::string& path);
/// The files that the settings name, in their order, those of a folder sorted.
std::vector<std::filesystem::path> photo_files(const PhotoSettings& settings);
/// The files of `held_out` that are among those of `training`, or have the name and the length of one.
std::vector<std::filesystem::path> trained_on(const PhotoSettings& held_out, const PhotoSettings& training);

/// A square of a photograph, perhaps mirrored.
struct PhotoCrop {
  int64_t photo = 0;
  int x = 0, y = 0, size = 0;
  bool mirrored = false;
};

/// Photographs as 8-bit planes: 3 bytes a pixel. What is beyond `memory` bytes lies in a file under $TMPDIR (SpillingMemory), so that a set
/// of any size can be trained on.
class PhotoSet {
 public:
  /// Reads all, in parallel. A file that cannot be read or is too small is skipped with a warning; input_error if none is left, and with
  /// settings.strict for the first of them. With `most` > 0 it stops once it has so many.
  PhotoSet(const PhotoSettings& settings, int min_side, int64_t most = 0, uint64_t memory = uint64_t{4} << 30);
  int64_t size() const { return static_cast<int64_t>(photos_.size()); }
  const std::string& name(int64_t index) const { return photos_[index].name; }
  int width(int64_t index) const { return photos_[index].width; }
  int height(int64_t index) const { return photos_[index].height; }
  const std::vector<std::string>& skipped() const { return skipped_; }  ///< one line each, why
  Image photo(int64_t index) const;
  /// Random photograph (chance proportional to its area, but at most 4 times that of the smallest), place and mirror.
  PhotoCrop random_crop(int size, Random& random) const;
  /// Random place and mirror in this photograph.
  PhotoCrop random_crop(int64_t photo, int size, Random& random) const;
  Image cut(const PhotoCrop& crop) const;
  Image centre_crop(int64_t index, int width, int height) const;

 private:
  struct Photo {
    std::string name;
    int width, height;
    const uint8_t* data;  // of pixels_
  };
  void read(const std::vector<std::filesystem::path>& paths, const PhotoSettings& settings, int min_side);
  Image cut(const Photo& photo, int x, int y, int width, int height) const;
  SpillingMemory pixels_;
  std::vector<Photo> photos_;
  std::vector<double> weights_;
  std::vector<std::string> skipped_;
};

/// For what finds pictures of a photograph by its name: usage_error, which `what` begins, where two photographs have one.
void check_names_differ(const PhotoSet& photos, const std::string& what);

struct TrainingPair {
  Image gt, lr;
};
/// Item `index` of the endless sequence of training pairs under `seed`; LR is made of the varied photograph.
TrainingPair make_pair(const PhotoSet& photos, const VariationSettings& variation, const DegradeSettings& degradation, int gt_size,
                       uint64_t seed, uint64_t index);
/// What is looked at again and again: the centre of each of the first `count` photographs, at most `side` pixels a side and rounded down to
/// multiples of the degradation's scale, and its LR picture, that of photograph i by the stream (seed, purpose, i).
std::vector<TrainingPair> centre_pairs(const PhotoSet& photos, int64_t count, int side, const DegradeSettings& degradation, uint64_t seed,
                                       std::string_view purpose);

}  // namespace finpercep
