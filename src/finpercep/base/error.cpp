// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/error.h"

#include <algorithm>

#include "finpercep/base/text.h"

namespace finpercep {
namespace {

// Damerau-Levenshtein in its optimal string alignment form: insert, delete, replace, swap of neighbours, each costs one.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

}  // namespace

Error usage_error(const std::string& message) { return Error(ExitCode::usage, one_line(message)); }
Error input_error(const std::string& message) { return Error(ExitCode::input, one_line(message)); }
Error model_error(const std::string& message) { return Error(ExitCode::model, one_line(message)); }
Error internal_error(const std::string& message) { return Error(ExitCode::internal, one_line(message)); }
Error interrupted_error(const std::string& message) { return Error(ExitCode::interrupted, one_line(message)); }

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
  std::size_t best = limit + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
    const std::size_t gap = candidate.size() > word.size() ? candidate.size() - word.size() : word.size() - candidate.size();
    if (gap >= best) continue;  // also keeps a word of a megabyte cheap
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

}  // namespace finpercep
