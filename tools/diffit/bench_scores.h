// `diffit bench scores`: figures of random features, which stand for those of pictures.
#pragma once

#include <string>

#include "tools/diffit/command.h"

namespace diffit {

struct ScoresBenchOptions {
  std::string what = "precision-recall";  // or frechet
  std::int64_t pictures = 10000;          // of each set
  std::int64_t width = 2048;              // features a picture
  int rounds = 5;
};

/// Measures and prints seconds. The features are standard normals, of the reference times 1.1.
void bench_scores(const ScoresBenchOptions& options, const CommonOptions& common);

}  // namespace diffit
