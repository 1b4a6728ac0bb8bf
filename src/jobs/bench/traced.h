// A trace of what a measurement runs, for `diffit bench --trace`.
#pragma once

#include <functional>

#include "jobs/bench/result.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

/// Runs `once` three more times under LibTorch's profiler, writes the trace to `path` (runtime/trace.h), and
/// adds to `figures` the time of each kernel, or on the CPU of each operation, as the mean of the three
/// calls: "trace": {"file", "milliseconds", "busy_milliseconds", "times": [{"name", "calls",
/// "milliseconds"}]}, and the 40 longest to the text. Does nothing if `path` is empty.
void add_trace(const std::string& path, const Runtime& machine, const std::function<void()>& once,
               BenchFigures& figures);

}  // namespace diffit::jobs
