// SPDX-License-Identifier: Apache-2.0
// Rows of a study measured picture by picture. What was measured is kept as a CSV and read again where nothing that it depends on has
// changed.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/evaluate.h"
#include "finpercep/judge.h"
#include "finpercep/study/sets.h"

namespace finpercep {

/// One line of a table: a generator, or the runs of a method, one a seed.
struct StudyRow {
  std::string name;
  bool trained = false;
  std::vector<int64_t> seeds{};      ///< of trained rows, as values has them
  std::vector<Evaluation> values{};  ///< one a seed
  std::vector<Image> pictures{};     ///< the first few, of the first seed; empty where one could not be made

  /// Of one metric, by picture: the mean over the seeds.
  std::vector<double> by_picture(std::size_t metric) const;
};

class Meter {
 public:
  /// usage_error for an unknown metric, model_error for absent weights. `folder` holds the CSVs: folder/SET/ROW.csv. `judge` has to live
  /// as long as this.
  Meter(const Judge& judge, const std::vector<std::string>& metrics, const std::string& device, std::filesystem::path folder);

  /// Picture i is made by make(i). `facts`: one line of what these pictures come from; with those of set, metrics (their weights too) and
  /// judge it is the first line of the CSV, and where that line is the same and no value is missing, the CSV is read and nothing is made
  /// but the first `keep` pictures, which go to `pictures`.
  Evaluation measure(const StudySet& set, const std::string& row, const std::string& facts, const std::function<Image(int64_t)>& make,
                     int64_t keep, std::vector<Image>& pictures) const;

  /// Of the tables.
  EvaluateOptions options() const { return {.measure = pipeline_.options()}; }

 private:
  std::filesystem::path folder_;
  Pipeline pipeline_;
  std::string weights_;  // the device and what the metrics' weights are
};

}  // namespace finpercep
