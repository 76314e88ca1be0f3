// SPDX-License-Identifier: Apache-2.0
// Which RM_k rewards the generator at which iteration: by a fixed table, or by rules that look at how learning goes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "finpercep/base/settings.h"

namespace finpercep {

/// One reward stage a phase: `stages[i]` holds for `iters[i]` iterations, the last for ever.
///   CCL            stages {0,1,2,3,4}
///   global score   stages {0}
///   no curriculum  stages {4}
struct FixedSchedule {
  std::vector<int64_t> stages, iters;
  int64_t total() const;
};

struct AutoScheduleSettings {
  int64_t min_iters = 10;
  int64_t window = 5;
  double plateau = 1;
  double variance_ratio = 0.5;
  double gradient_ratio = 0.3;
  void visit(SettingsVisitor& v);
};

/// What one iteration says about learning under the present stage.
struct Learning {
  double gap =
      0;  ///< reward of the pictures minus that of the clean photographs, which the same judge gives: free of how strict a stage is
  double group_std = 0;  ///< of the rewards of one input's pictures; 0 where the algorithm makes only one
  double grad_norm = 0;
};

enum class Switch {
  stay = 0,
  plateau = 1,
  variance = 2,
  gradient = 3,
  limit = 4
};  ///< why a phase ended; the number is what metrics.jsonl holds
const char* name_of(Switch reason);

/// The rules, on the iterations of a phase so far, or those since it was taken back. With w = window:
///   plateau   the mean gap of the last w iterations is not above that of the w before by more than `plateau` standard errors of the
///             difference
///   variance  pictures of one input are judged alike: group_std of the last w is below variance_ratio times that of the first w
///   gradient  there is little left to learn: the gradient's norm of the last w is below gradient_ratio times that of the first w
/// Not before min_iters, nor before 2 w.
Switch reason_to_switch(const std::vector<Learning>& phase, const AutoScheduleSettings& settings);

/// The stage of a run. A phase has as many iterations as `schedule.iters` says, or, with `rules`, at most as many; the last phase holds.
class StageClock {
 public:
  explicit StageClock(FixedSchedule schedule, std::optional<AutoScheduleSettings> rules = {})
      : schedule_(std::move(schedule)), rules_(std::move(rules)) {}
  int64_t stage() const { return schedule_.stages.at(ended_.size()); }
  /// An iteration is over. Why the phase ended with it, or `stay`; `limit` where it has lasted as long as it may.
  Switch advance(const Learning& learning);
  /// The generator was taken back: what was learnt since then says nothing of how it goes on.
  void forget() { history_.clear(); }
  /// The schedule that a run of `total` iterations had in the end: with it a fixed run does the same.
  FixedSchedule as_fixed(int64_t total) const;

  std::vector<double> state() const;               ///< for exact resume: decisions are made again from the same numbers
  void restore(const std::vector<double>& state);  ///< usage_error where the schedule has no such phase, model_error for an older version's

 private:
  FixedSchedule schedule_;
  std::optional<AutoScheduleSettings> rules_;
  std::vector<int64_t> ended_;     // how long each phase before the present one was
  int64_t lasted_ = 0;             // the present phase, so far
  std::vector<Learning> history_;  // of the present phase
};

}  // namespace finpercep
