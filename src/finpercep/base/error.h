// SPDX-License-Identifier: Apache-2.0
// What makes errors. A message is one line: "what: where: expected, found. do this".
#pragma once
#include <string>
#include <vector>

#include "finpercep/error.h"

namespace finpercep {

/// Wrong flags, wrong or unknown config keys, values out of range.
Error usage_error(const std::string& message);
/// A file that cannot be read or written, is not what it claims to be, or has no partner.
Error input_error(const std::string& message);
/// Weights or checkpoints: missing, corrupt, of another architecture.
Error model_error(const std::string& message);
/// A fault of the program itself, which no file and no setting should be able to cause.
Error internal_error(const std::string& message);
/// The user pressed Ctrl-C; the message says what is saved.
Error interrupted_error(const std::string& message);

/// The candidate nearest to `word` by edit distance, or "" when none is near enough to be a likely typo.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace finpercep
