// Items that threads make ahead of time and that are handed out in order: batches of images.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/layers.h"

namespace diffit::data {

class Prefetcher {
 public:
  struct Work {
    /// Called once for each item, in order and never at once, before it is made. Returns its number of parts,
    /// or 0 where there are no more items. What it throws is thrown by the constructor or by release().
    std::function<std::int64_t(std::int64_t item)> open;
    /// Makes a part of an item. Called at once for different parts, in order of item and part. `worker`: 0 to
    /// threads - 1, not used twice at once.
    std::function<void(std::int64_t item, std::int64_t part, std::size_t worker)> make;
  };

  /// Keeps up to `ahead` items open, including the one that is handed out. Where the system has fewer
  /// threads, fewer make the items; without any, wait() does.
  Prefetcher(Work work, std::int64_t ahead, int threads);
  ~Prefetcher();

  /// Waits until the oldest item is complete. Rethrows what making it threw (of the first such part), now and
  /// whenever it is called again before release().
  void wait();
  /// The oldest item is not needed any more.
  void release();

 private:
  struct Item {
    std::int64_t number = 0, parts = 0;
    std::int64_t taken = 0, left = 0;  // parts that a thread has taken; parts that are not complete
    std::int64_t failed = -1;          // the first part that failed
    std::exception_ptr error = {};
  };

  void run();
  void open_items();
  Item* next_to_make();
  void make_part(std::unique_lock<std::mutex>& lock, Item& item, std::size_t worker);

  Work work_;
  const std::int64_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;  // open, the oldest first; references to its members stay valid
  std::int64_t opened_ = 0;
  std::size_t workers_ = 0;
  bool ended_ = false, stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace diffit::data
