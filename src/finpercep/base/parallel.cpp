// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <system_error>

namespace finpercep {

int default_threads() {
  cpu_set_t set;  // the affinity mask, not the machine: cpusets and taskset give a process fewer cores (a quota of time does not show here)
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& work) {
  if (count <= 0) return;
  if (threads <= 0) threads = default_threads();
  threads = static_cast<int>(std::min<int64_t>({threads, count, 512}));
  if (threads == 1) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }

  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto run = [&] {
    while (!failed.load(std::memory_order_acquire)) {
      const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      try {
        work(i);
      } catch (...) {
        std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        failed.store(true, std::memory_order_release);
      }
    }
  };

  std::vector<std::thread> workers;
  workers.reserve(threads - 1);
  try {
    while (static_cast<int>(workers.size()) < threads - 1) workers.emplace_back(run);
  } catch (const std::system_error&) {
    // The system is out of threads: those that started, and this one, do the work.
  }
  run();
  for (auto& worker : workers) worker.join();
  if (error) std::rethrow_exception(error);
}

void parallel_rows(int rows, int rows_per_task, int threads, const std::function<void(int, int)>& work) {
  parallel_for((rows + rows_per_task - 1) / rows_per_task, threads, [&](int64_t task) {
    const int first = static_cast<int>(task) * rows_per_task;
    work(first, std::min(first + rows_per_task, rows));
  });
}

}  // namespace finpercep
