// Cost of a training run, computed before it starts.
#pragma once

#include <cstdint>

#include "nn/diffit/structure.h"
#include "train/recipe.h"

namespace diffit::training {

/// Compute, memory and disk space of a training run. Sizes are in bytes.
struct TrainingPlan {
  PartCost network;              // one forward pass for one image
  double flops_per_image = 0;    // forward and backward: 3 x 2 x MACs, or 4 x 2 with gradient checkpointing
  double flops = 0;              // whole run
  std::int64_t steps = 0;        // optimizer steps
  double weights_bytes = 0;      // float32 weights, gradients, two moments, and averages
  double activations_bytes = 0;  // activations of one microbatch kept for the backward pass
  double snapshot_bytes = 0;     // size on disk of one snapshot: weights and averages
  double state_bytes = 0;        // size on disk of one checkpoint
  std::int64_t snapshots = 0;
};

/// Computes the plan of a resolved recipe. `resolution`: side of the images, which determines the cost of an
/// autoencoder. `element_bytes`: size of an activation element, 4 or 2.
TrainingPlan plan_training(const Recipe& recipe, std::int64_t resolution, int element_bytes);

}  // namespace diffit::training
