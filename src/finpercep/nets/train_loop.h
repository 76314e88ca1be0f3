// SPDX-License-Identifier: Apache-2.0
// The loop that every training here runs in: steps, log lines, checkpoints, Ctrl-C, exact resume.
#pragma once
#include <functional>

#include "finpercep/base/run_dir.h"
#include "finpercep/base/safetensors.h"
#include "finpercep/base/settings.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

struct LoopSettings {
  int64_t total_iter = 1000;
  int64_t print_freq = 50;
  int64_t save_checkpoint_freq = 500;
  int64_t val_freq = 0;  ///< 0: only at the end
  void visit(SettingsVisitor& v);
};

using Metrics = std::vector<std::pair<std::string, double>>;

/// Means by name of the finite values, NaN where there is none, in the order in which the names came; not every add() need have all of
/// them. Of "stage", a place on a ladder, the last.
class Means {
 public:
  void add(const Metrics& values);
  Metrics means() const;

 private:
  struct Row {
    std::string name;
    double sum = 0;
    int64_t count = 0;
  };
  std::vector<Row> rows_;
};

/// In metrics.jsonl as "val_NAME", and as a line of the log: "held out, after ITER: NAME VALUE ..".
void log_held_out(RunDir& run, int64_t iter, const Metrics& values);

struct StepResult {
  Metrics metrics;       ///< averaged, by name, over those of print_freq iterations that report it, and logged
  bool skipped = false;  ///< a gradient was not finite: nothing was learnt from it
};

struct LoopParts {
  Compute compute;                               ///< for the log, and to warn of a resume on another device
  std::function<StepResult(int64_t iter)> step;  ///< one iteration
  /// Everything that the next iteration depends on, apart from `iter` itself: random streams are keyed by it and need no state.
  std::function<void(TensorFile& state)> save;
  std::function<void(const TensorFile& state, const std::string& where)> restore;
  /// Called after iteration `iter` (1-based count of finished ones) every val_freq and at the end.
  std::function<void(int64_t iter)> validate;
};

/// Runs or, with `resume`, continues from the newest state in checkpoints/ that is intact (an older one if the newest is damaged, and
/// says so). The last two states are kept. On Ctrl-C the state is saved and interrupted_error thrown. 20 iterations in a row that were
/// skipped end the run, and so does a run that skipped all (model_error).
void run_loop(RunDir& run, const LoopSettings& settings, bool resume, const LoopParts& parts);

}  // namespace finpercep
