// What a training will cost, by arithmetic, before it is begun.
#pragma once

#include <cstdint>

#include "nn/cost.h"
#include "train/recipe.h"

namespace diffit {

struct TrainingPlan {
  PartCost network;              // one forward of one picture
  double flops_per_image = 0;    // forward and backward: 3 x 2 x MACs, 4 x 2 with gradient checkpointing
  double flops = 0;              // of the whole training
  std::int64_t steps = 0;        // optimiser steps
  double weights_bytes = 0;      // weights, gradients, two moments, averages: float32
  double activations_bytes = 0;  // kept for the backward pass of one microbatch
  double snapshot_bytes = 0;     // on disk, a snapshot: weights and averages
  double state_bytes = 0;        // on disk, a state
  std::int64_t snapshots = 0;
};

/// Of a resolved recipe. `resolution`: of the pictures, which the cost of an autoencoder depends on;
/// `element_bytes`: of an activation, 4 or 2.
TrainingPlan plan_training(const Recipe& recipe, std::int64_t resolution, int element_bytes);

}  // namespace diffit
