// `diffit bench features`: images a second through a feature network, resizing included.
#pragma once

#include <string>

#include "base/bundled.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

struct FeaturesBenchOptions {
  std::string network;      // file, or the name of a bundled one
  std::int64_t size = 32;   // side of the images
  std::int64_t batch = 50;  // images a pass
  int rounds = 5;
  double seconds = 2;
};

/// Measures and prints images a second. The images are random bytes.
void bench_features(const FeaturesBenchOptions& options, const Runtime& machine, const CommonOptions& common);

}  // namespace diffit::cli
