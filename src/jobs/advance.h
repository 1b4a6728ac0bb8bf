// Progress and cancellation in one call.
#pragma once

#include <string>

#include "base/error.h"
#include "diffit/monitor.h"

namespace diffit::jobs {

/// Throws Error(cancelled) with `message` if the monitor asks to stop.
inline void stop_if_cancelled(Monitor& monitor, const std::string& message) {
  if (monitor.cancelled()) throw Error(ErrorKind::cancelled, message);
}

/// Reports progress; then as stop_if_cancelled().
inline void advance(Monitor& monitor, const Progress& progress, const std::string& message) {
  monitor.progress(progress);
  stop_if_cancelled(monitor, message);
}

}  // namespace diffit::jobs
