// SPDX-License-Identifier: Apache-2.0
// What a column of values by picture can be: a metric of the registry, or what a judge says of the picture.
#pragma once
#include <array>
#include <string>

#include "finpercep/judge.h"

namespace finpercep {

/// What a judge says of a picture, by names beside the registry's: its score, the mean of its map over the picture's worst pixels, the
/// map's largest value and mean.
struct JudgedColumn {
  const char* name;
  float Verdict::*value;
  bool higher_is_better;
  bool of_map;        ///< which RM_0 does not have
  const char* title;  ///< in tables of methods
  bool stamped;       ///< a table says which model it is of; the others never stand without one that is stamped
};
inline constexpr const char *score_metric = "finpercep.score", *severity_metric = "finpercep.severity";
inline constexpr std::array<JudgedColumn, 4> judged_columns = {
    {{score_metric, &Verdict::score, true, false, "S", true},
     {severity_metric, &Verdict::severity, false, true, "severity", true},
     {"finpercep.map_max", &Verdict::map_max, false, true, "finpercep.map_max", false},
     {"finpercep.map_mean", &Verdict::map_mean, false, true, "finpercep.map_mean", false}}};

/// Null for a name that is none of theirs.
const JudgedColumn* find_judged(const std::string& column);
bool is_judged(const std::string& column);

/// Of either kind; usage_error naming the nearest metric for an unknown name.
bool column_higher_is_better(const std::string& column);

}  // namespace finpercep
