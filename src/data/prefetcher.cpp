#include "data/prefetcher.h"

#include "data/workers.h"

namespace diffit::data {

Prefetcher::Prefetcher(Work work, std::int64_t ahead, int threads) : work_(std::move(work)), ahead_(ahead) {
  open_items();  // no threads yet, so no lock and no notification are needed
  threads_ = start_threads(threads, [this] { run(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prefetcher::wait() {
  std::unique_lock lock(mutex_);
  Item& item = items_.front();
  while (threads_.empty() && item.left > 0) make_part(lock, item, 0);
  changed_.wait(lock, [&] { return item.left == 0; });
  if (item.error) std::rethrow_exception(item.error);
}

void Prefetcher::release() {
  {
    const std::lock_guard lock(mutex_);
    items_.pop_front();
    open_items();
  }
  changed_.notify_all();
}

void Prefetcher::run() {
  std::unique_lock lock(mutex_);
  const std::size_t worker = workers_++;
  while (true) {
    Item* item = nullptr;
    changed_.wait(lock, [&] { return stopping_ || (item = next_to_make()) != nullptr; });
    if (stopping_) return;
    make_part(lock, *item, worker);
  }
}

/// Opens the items that may be made ahead of time. The caller holds the lock.
void Prefetcher::open_items() {
  while (!ended_ && static_cast<std::int64_t>(items_.size()) < ahead_) {
    const std::int64_t parts = work_.open(opened_);
    ended_ = parts == 0;
    if (ended_) return;
    items_.push_back({.number = opened_++, .parts = parts, .left = parts});
  }
}

/// The oldest item with parts that no thread has taken, or null.
Prefetcher::Item* Prefetcher::next_to_make() {
  for (Item& item : items_) {
    if (item.taken < item.parts) return &item;
  }
  return nullptr;
}

/// Makes the next part of `item`. Releases the lock meanwhile.
void Prefetcher::make_part(std::unique_lock<std::mutex>& lock, Item& item, std::size_t worker) {
  const std::int64_t part = item.taken++;
  lock.unlock();
  std::exception_ptr error;
  try {
    work_.make(item.number, part, worker);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  if (error && (item.failed < 0 || part < item.failed)) {
    item.failed = part;
    item.error = error;
  }
  if (--item.left == 0) changed_.notify_all();
}

}  // namespace diffit::data
