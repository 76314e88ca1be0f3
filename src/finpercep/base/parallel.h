// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace finpercep {

/// Threads to use when a setting says 0: the cores this process may run on.
int default_threads();

/// Calls work(i) for i in [0, count) on `threads` threads (0 = default_threads()). The first exception is rethrown here after all
/// threads have stopped; no further items are started after it.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& work);

/// The same for runs of rows, so that scratch is set up once a run: work(first, end) for [0, rows) in runs of `rows_per_task`, the last of
/// them perhaps shorter. The runs do not depend on the threads.
void parallel_rows(int rows, int rows_per_task, int threads, const std::function<void(int first, int end)>& work);

/// Makes items first, first+1, .. ahead of time on worker threads and hands them out in order.
/// An exception in make(i) surfaces in the next() that would have returned item i. The destructor stops the workers.
/// `threads` 0 = default_threads(); at most `depth` items (at least one) are made ahead of the one that next() waits for.
template <class Item>
class Prefetcher {
 public:
  Prefetcher(int64_t first, int64_t end, int threads, int depth, std::function<Item(int64_t)> make)
      : make_(std::move(make)), next_to_make_(first), next_to_give_(first), end_(end), depth_(depth > 0 ? depth : 1) {
    if (threads <= 0) threads = default_threads();
    try {
      while (static_cast<int>(workers_.size()) < threads && static_cast<int>(workers_.size()) < depth_) {
        workers_.emplace_back([this] { run(); });
      }
    } catch (const std::system_error&) {
      if (workers_.empty()) throw;  // fewer threads than wished for give the same items
    }
  }
  ~Prefetcher() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item in order, or nothing after item end-1.
  std::optional<Item> next() {
    std::unique_lock lock(mutex_);
    if (next_to_give_ >= end_) return std::nullopt;
    changed_.wait(lock, [this] { return ready_.count(next_to_give_) > 0; });
    auto node = ready_.extract(next_to_give_++);
    lock.unlock();
    changed_.notify_all();
    if (node.mapped().error) std::rethrow_exception(node.mapped().error);
    return std::move(*node.mapped().item);
  }

 private:
  struct Slot {
    std::optional<Item> item;
    std::exception_ptr error;
  };
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || next_to_make_ >= end_ || next_to_make_ < next_to_give_ + depth_; });
      if (stop_ || next_to_make_ >= end_) return;
      const int64_t index = next_to_make_++;
      lock.unlock();
      Slot slot;
      try {
        slot.item = make_(index);
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      ready_.emplace(index, std::move(slot));
      lock.unlock();
      changed_.notify_all();
    }
  }

  std::function<Item(int64_t)> make_;
  int64_t next_to_make_, next_to_give_, end_;
  int depth_;
  bool stop_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Slot> ready_;
  std::vector<std::thread> workers_;
};

}  // namespace finpercep
