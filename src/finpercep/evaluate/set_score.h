// SPDX-License-Identifier: Apache-2.0
// Metrics of whole sets: one number for all pictures against all references, which need no partners and no equal sizes.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/evaluate/score.h"

namespace finpercep {

/// `metric` of job.pictures against job.set_references; every file is read again. input_error for fewer than two files or one that cannot
/// be read: a set without it would be another set. model_error for absent weights. `on_picture` is called after each of both sets, and may
/// throw.
ColumnSummary score_set(const ScoreJob& job, const std::string& metric, const std::function<void()>& on_picture = {});

/// All of job.set_metrics, with progress bars. Where pictures are scored as well, a set that cannot be read loses nothing else: it is a
/// warning here and the first message is in `failure`.
std::vector<ColumnSummary> score_sets(const ScoreJob& job, std::string& failure);

}  // namespace finpercep
