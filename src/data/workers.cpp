#include "data/workers.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

#include "base/cpu_count.h"

namespace diffit::data {
namespace {

ThreadFactory& factory() {
  static ThreadFactory current;
  return current;
}

}  // namespace

ThreadFactory set_thread_factory(ThreadFactory next) {
  return std::exchange(factory(), std::move(next));
}

std::vector<std::thread> start_threads(int count, const std::function<void()>& work) {
  std::vector<std::thread> threads;
  try {
    threads.reserve(static_cast<std::size_t>(std::max(count, 0)));
    for (int i = 0; i < count; ++i) threads.push_back(factory() ? factory()(work) : std::thread(work));
  } catch (const std::system_error&) {  // no more threads
  } catch (const std::bad_alloc&) {
  }
  return threads;
}

void in_parallel(std::int64_t first, std::int64_t last, int threads,
                 const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next = first;
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t failed_at = last;
  const auto run = [&] {
    for (std::int64_t i = next++; i < last; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed_at) {
          failed_at = i;
          error = std::current_exception();
        }
        return;
      }
    }
  };
  const auto most = static_cast<int>(std::min<std::int64_t>(threads, last - first));
  std::vector<std::thread> workers = start_threads(most - 1, run);
  run();
  for (std::thread& worker : workers) worker.join();
  if (error) std::rethrow_exception(error);
}

int thread_count(int wanted) {
  return wanted > 0 ? wanted : cpu_count();
}

}  // namespace diffit::data
