// SPDX-License-Identifier: Apache-2.0
// Metrics of whole sets: one number for all pictures against all references, which need no partners and no equal sizes.
#pragma once
#include <string>

#include "finpercep/evaluate/score.h"

namespace finpercep {

/// `metric` of job.pictures against job.set_references; every file is read again. input_error for fewer than two files or one that cannot
/// be read: a set without it would be another set. model_error for absent weights. `on_picture` is called after each of both sets, and may
/// throw.
ColumnSummary score_set(const ScoreJob& job, const std::string& metric, const std::function<void()>& on_picture = {});

}  // namespace finpercep
