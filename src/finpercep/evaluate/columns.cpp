// SPDX-License-Identifier: Apache-2.0
#include "finpercep/evaluate/columns.h"

#include "finpercep/metrics/registry.h"

namespace finpercep {

const JudgedColumn* find_judged(const std::string& column) {
  for (const JudgedColumn& judged : judged_columns)
    if (column == judged.name) return &judged;
  return nullptr;
}

bool is_judged(const std::string& column) { return find_judged(column) != nullptr; }

bool column_higher_is_better(const std::string& column) {
  const JudgedColumn* judged = find_judged(column);
  return judged ? judged->higher_is_better : find_metric(column).higher_is_better;
}

}  // namespace finpercep
