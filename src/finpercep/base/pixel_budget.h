// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace finpercep {

constexpr int64_t usual_pixels_in_flight = 64'000'000;  ///< for pictures that several threads work on at a time

/// Bounds the pixels that are decoded at a time. Pictures are let in by their turn, 0, 1, .., each of which has to be taken, so the one
/// that a reader waits for is never behind a later one; a picture larger than the whole budget is let in alone.
class PixelBudget {
 public:
  explicit PixelBudget(int64_t limit) : limit_(limit) {}

  /// Waits for its turn and for room.
  void enter(int64_t turn, int64_t pixels) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || (turn_ == turn && (in_flight_ == 0 || in_flight_ + pixels <= limit_)); });
    in_flight_ += pixels;
    ++turn_;
    lock.unlock();
    changed_.notify_all();
  }
  void leave(int64_t pixels) {
    {
      std::lock_guard lock(mutex_);
      in_flight_ -= pixels;
    }
    changed_.notify_all();
  }
  /// Nobody waits any longer: for the end, where turns are left.
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  int64_t limit_, in_flight_ = 0, turn_ = 0;
  bool closed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace finpercep
