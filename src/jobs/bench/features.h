// `diffit bench features`: images a second through a feature network, resizing included.
#pragma once

#include <string>

#include "jobs/bench/result.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct FeaturesBenchOptions {
  std::string network;      // file, or the name of a bundled one
  std::int64_t size = 32;   // side of the images
  std::int64_t batch = 50;  // images a pass
  int rounds = 5;
  double seconds = 2;
};

/// Measures and prints images a second. The images are random bytes.
BenchFigures bench_features(const FeaturesBenchOptions& options, const Runtime& machine);

}  // namespace diffit::jobs
