// Wall-clock time since a point.
#pragma once

#include <chrono>

#include "base/layers.h"

namespace diffit::base {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace diffit::base
