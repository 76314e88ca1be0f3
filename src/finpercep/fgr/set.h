// SPDX-License-Identifier: Apache-2.0
// FGR samples to train on. Sample i is the same whenever it is asked for, so that a shuffle is a permutation of numbers and a training that
// is resumed needs nothing but its iteration.
#pragma once
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "finpercep/fgr/sample.h"

namespace finpercep {

class FgrSet {
 public:
  /// All samples of the builder, made in parallel and held in memory, 8 bits a value.
  explicit FgrSet(const FgrBuilder& builder);
  /// A folder of shards. Only places and facts are held (a few hundred bytes a sample); pictures are read, checked against the sample's
  /// hash and decoded when asked for. input_error for what is missing or damaged.
  explicit FgrSet(const std::filesystem::path& directory);

  /// input_error unless the labels of `other`, which is at `where`, mean the same.
  void expect_same_labels(const FgrSet& other, const std::string& where) const;
  /// Appends the samples of another set, whose labels have to mean the same.
  void add(const FgrSet& other, const std::string& where);

  int side() const { return side_; }  ///< of the pictures, pixels; the smallest where sets were added
  int64_t size() const { return static_cast<int64_t>(kept_.size()); }
  /// From any thread.
  FgrSample sample(int64_t index) const { return read_(kept_.at(index)); }
  const FgrFacts& facts(int64_t index) const { return facts_[kept_.at(index)]; }
  std::set<std::string> photos() const;  ///< stems of the clean photographs
  /// Numbers of `count` samples in rising order, drawn once and for all: neighbours share a crop, and equal steps would take the same kind
  /// of sample of each. All for 0.
  std::vector<int64_t> some(int64_t count) const;
  /// Leaves out the samples that `wanted` does not want; input_error if none is left.
  void keep(const std::function<bool(const FgrFacts&)>& wanted);

  const LabelSettings& label() const { return label_; }  ///< resolved: its scale is the set's

 private:
  std::function<FgrSample(int64_t)> read_;
  std::vector<FgrFacts> facts_;
  std::vector<int64_t> kept_;
  LabelSettings label_;
  int side_ = 0;
};

}  // namespace finpercep
