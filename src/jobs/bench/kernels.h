// `diffit bench kernels`: each operation's fast path against its definition.
#pragma once

#include "jobs/bench/result.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct KernelsBenchOptions {
  std::int64_t batch = 0;  // maps of each case; 0: the case's own
  int rounds = 5;
  double seconds = 0.2;  // of a round
};

/// Milliseconds of a forward pass, and of one with its backward pass, by the fast path and by the definition
/// (which on a GPU is eager LibTorch), with the relative distance of the results.
BenchFigures bench_kernels(const KernelsBenchOptions& options, const Runtime& machine);

}  // namespace diffit::jobs
