// The cost of a training, without training.
#pragma once

#include <cstdint>
#include <string>

#include "diffit/train.h"

namespace diffit {

/// What a training would cost.
struct TrainPlan {
  struct Data {
    std::int64_t images = 0, resolution = 0, channels = 0, classes = 0;
  } data;
  std::int64_t parameters = 0;
  double forward_macs = 0, attention_macs = 0;  // of one image
  double flops_per_image = 0, flops = 0;        // of an image in training, and of the whole training
  std::int64_t steps = 0;
  double memory_bytes = 0;             // weights, gradients, moments, averages and activations
  double disk_bytes = 0;               // snapshots and checkpoints
  double matmul_flops_per_second = 0;  // measured now
  double seconds = 0;                  // estimate of the whole training
  std::string config;                  // the complete configuration, as TOML
  std::string json;                    // everything that `diffit train --dry-run` prints
  std::string text;                    // the same in words; begins with `config`
};

/// Checks the configuration and the data and measures matrix products; writes nothing. Throws Error(invalid)
/// as train() does.
TrainPlan plan_training(const TrainSpec& spec, const RuntimeOptions& runtime = {});
TrainPlan plan_training(const TrainSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
