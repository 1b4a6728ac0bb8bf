// Speed of training, inference, metrics and kernels on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct BenchSpec {
  /// A preset or TOML file, a model file, a bundled model, or "latent" (the released DiffiT-XL/2 with random
  /// weights), "scores" (metrics of random features), "features" (a feature network), "kernels".
  std::string config;
  std::vector<std::string> set;  // "key=value": overrides of the configuration, in order
  /// "train" or "forward"; autoencoders also "encode" and "decode"; latent: "forward", "attention", "matmul";
  /// scores: "precision-recall", "frechet". "train" stands for the usual work of what trains nothing.
  std::string what = "train";
  std::string features = "fashion-net";  // the network of "features"
  std::int64_t batch = 0;                // images at a time; 0: the usual number
  std::int64_t depth = -1;               // blocks of "latent"; -1: all
  std::int64_t size = 0;                 // side of the images of "features" and autoencoders; 0: usual
  int rounds = 5;                        // measurements
  double seconds = 2;                    // of each
  /// File for a trace of three more calls in Chrome's format, with the time of each kernel or operation in
  /// the result; of recipes and the forward pass of latent models. Empty: none.
  std::string trace;
};

struct BenchResult {
  std::string json;  // everything that `diffit bench --json` prints
  std::string text;  // for people: the median and the range
};

/// Measures. Throws Error: invalid for a wrong field or file, failed if a kernel differs from its definition.
BenchResult bench(const BenchSpec& spec, const RuntimeOptions& runtime = {});
BenchResult bench(const BenchSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
