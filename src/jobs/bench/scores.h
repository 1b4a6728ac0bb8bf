// `diffit bench scores`: figures of random features, which stand for those of images.
#pragma once

#include <string>

#include "jobs/bench/result.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct ScoresBenchOptions {
  std::string what = "precision-recall";  // or frechet
  std::int64_t images = 10000;            // of each set
  std::int64_t width = 2048;              // features an image
  int rounds = 5;
};

/// Measures and prints seconds. The features are standard normals, of the reference times 1.1.
BenchFigures bench_scores(const ScoresBenchOptions& options);

}  // namespace diffit::jobs
