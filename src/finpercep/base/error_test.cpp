// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/error.h"

#include <doctest/doctest.h>

using namespace finpercep;

TEST_CASE("each kind of error has its exit code") {
  CHECK(usage_error("x").code() == ExitCode::usage);
  CHECK(input_error("x").code() == ExitCode::input);
  CHECK(model_error("x").code() == ExitCode::model);
  CHECK(internal_error("x").code() == ExitCode::internal);
  CHECK(interrupted_error("x").code() == ExitCode::interrupted);
  CHECK(static_cast<int>(ExitCode::model) == 4);
}

TEST_CASE("a message stays one line and cannot steer the terminal") {
  CHECK(std::string(input_error("read: a\nb\t\033[31m\x7f\xc3\xa4").what()) == "read: a\\nb\\t\\x1b[31m\\x7f\xc3\xa4");
}

TEST_CASE("nearest finds likely typos only") {
  const std::vector<std::string> keys = {"sigma", "kernel_size", "seed", "lr"};
  CHECK(nearest("sigm", keys) == "sigma");
  CHECK(nearest("sgima", keys) == "sigma");  // a swap counts as one edit
  CHECK(nearest("kernelsize", keys) == "kernel_size");
  CHECK(nearest("kernal_siez", keys) == "kernel_size");
  CHECK(nearest("lr", keys) == "lr");
  CHECK(nearest("rl", keys) == "lr");
  CHECK(nearest("threads", keys) == "");
  CHECK(nearest("xy", keys) == "");
  CHECK(nearest("", keys) == "");
  CHECK(nearest(std::string(1 << 20, 'a'), keys) == "");
  CHECK(nearest("seed", {}) == "");
  CHECK(nearest("seef", {"seen", "seed"}) == "seen");  // the first of equals
}
