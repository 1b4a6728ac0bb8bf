// diffit::bench() (diffit/bench.h) for callers that print its result.
#pragma once

#include "diffit/bench.h"
#include "jobs/bench/result.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

/// As diffit::bench().
BenchFigures run_bench(const BenchSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit::jobs
