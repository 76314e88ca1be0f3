// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/interrupt.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include <doctest/doctest.h>

using namespace finpercep;

namespace {

/// Exit status of a child that catches interrupts, sends itself the signals and then exits with 10 + interrupted().
int status_after(std::initializer_list<int> signals) {
  const pid_t child = fork();
  if (child == 0) {
    catch_interrupts();
    for (const int signal : signals) raise(signal);
    _exit(10 + interrupted());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("the first signal sets the flag, a second SIGINT ends the process") {
  CHECK(status_after({}) == 10);
  CHECK(status_after({SIGINT}) == 11);
  CHECK(status_after({SIGTERM}) == 11);
  CHECK(status_after({SIGTERM, SIGTERM}) == 11);
  CHECK(status_after({SIGTERM, SIGINT}) == 11);
  CHECK(status_after({SIGINT, SIGINT}) == 130);
  CHECK(status_after({SIGHUP}) == -SIGHUP);
}
