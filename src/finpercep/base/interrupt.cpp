// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "finpercep/base/error.h"

namespace finpercep {
namespace {

std::atomic<bool> flag{false};
std::atomic<int> interrupts{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free, "used in a signal handler");

void on_signal(int signal) {
  flag.store(true);
  if (signal == SIGINT && interrupts.fetch_add(1) > 0)
    _exit(130);  // the user does not want to wait for the save. SIGTERM often comes twice: to the process and to its group
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // the loop decides when to stop; no half-done read or write
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return flag.load(); }

void stop_if_interrupted(const std::string& outcome) {
  if (interrupted()) throw interrupted_error("interrupted: " + outcome);
}

}  // namespace finpercep
