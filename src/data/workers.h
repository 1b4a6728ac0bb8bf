// Threads that may be refused by the system: work goes on with those that can be had.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/layers.h"

namespace diffit::data {

/// Starts a thread; throws std::system_error where none can be had. Tests put another one in its place.
using ThreadFactory = std::function<std::thread(std::function<void()>)>;
/// Returns the one before; an empty one restores the system's.
ThreadFactory set_thread_factory(ThreadFactory factory);

/// Starts up to `count` threads of `work`, which must end by itself and throw nothing. Returns those that
/// could be started: fewer, perhaps none, where the system has no more threads or memory.
std::vector<std::thread> start_threads(int count, const std::function<void()>& work);

/// Calls work(i) for i in first..last-1 on this thread and up to `threads` - 1 others, in any order, and
/// rethrows what the first in order threw.
void in_parallel(std::int64_t first, std::int64_t last, int threads,
                 const std::function<void(std::int64_t)>& work);

/// `wanted`, or cpu_count() where that is 0 or less.
int thread_count(int wanted);

}  // namespace diffit::data
