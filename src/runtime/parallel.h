// Loops over LibTorch's own threads, without LibTorch's headers.
#pragma once

#include <cstdint>

#include "base/layers.h"

namespace diffit::runtime {

/// Calls body(begin, end) over disjoint ranges that cover [0, count). The split depends on count, grain and
/// the number of threads alone; what is reduced over must be split by the caller, not by range.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, const Body& body);

/// Threads that parallel_for may use.
std::int64_t threads();

namespace internal {
using RangeFunction = void (*)(const void* body, std::int64_t begin, std::int64_t end);
void run(std::int64_t count, std::int64_t grain, RangeFunction function, const void* body);
}  // namespace internal

template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  internal::run(
      count, grain,
      [](const void* opaque, std::int64_t begin, std::int64_t end) {
        (*static_cast<const Body*>(opaque))(begin, end);
      },
      &body);
}

}  // namespace diffit::runtime
