// `diffit bench` of latent models.
#pragma once

#include "jobs/bench/result.h"
#include "nn/diffit/config.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct LatentBenchOptions {
  std::string what = "forward";  // forward, attention or matmul
  std::int64_t batch = 2;        // 2: one guided image
  int rounds = 5;
  double seconds = 2;  // the shortest round
  std::string trace;   // file for a trace of the forward pass; empty: none
};

/// Measures a latent model of that configuration with random weights and prints what it reached.
BenchFigures bench_latent(const LatentConfig& config, const LatentBenchOptions& options,
                          const Runtime& machine);

}  // namespace diffit::jobs
