// SPDX-License-Identifier: Apache-2.0
// What tests of errors share.
#pragma once
#include <string>

#include "finpercep/base/error.h"

namespace finpercep::test {

/// The one line that `action` fails with, by an error of this code; "" where it does not fail, fails otherwise, or says more than a line.
template <class Action>
std::string message_of(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string what = error.what();
    return error.code() == code && what.find('\n') == std::string::npos ? what : "";
  }
  return "";
}

}  // namespace finpercep::test
