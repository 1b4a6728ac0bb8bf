// diffit bench of an autoencoder: images a second, encoded and decoded.
#pragma once

#include "jobs/bench/result.h"
#include "nn/vae/vae.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct VaeBenchOptions {
  std::string config;            // for the result
  std::string what = "forward";  // encode, decode, or forward: one after the other
  std::int64_t batch = 0;        // 0: about 512 x 512 pixels
  std::int64_t side = 256;       // of the images; a multiple of the factor
  int rounds = 5;
  double seconds = 2;
};

/// Prints figures of `vae` as it is, on images of random numbers. Error(invalid) where the side does not fit.
BenchFigures bench_vae(const Vae& vae, const VaeBenchOptions& options, const Runtime& machine);

}  // namespace diffit::jobs
