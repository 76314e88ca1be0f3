// SPDX-License-Identifier: Apache-2.0
// The one error type. A message is one line: "what: where: expected, found. do this".
#pragma once
#include <stdexcept>
#include <string>

namespace finpercep {

/// Exit codes of the command line contract.
enum class ExitCode { ok = 0, internal = 1, usage = 2, input = 3, model = 4, gate = 5, interrupted = 130 };

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace finpercep
