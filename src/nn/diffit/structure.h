// The structure of the diffusion networks, derived from their configuration alone.
#pragma once

#include <vector>

#include "nn/diffit/config.h"
#include "nn/layers/structure.h"

namespace diffit::nn {

/// Describes every layer of a network in the order of its parameters. The configuration must be valid
/// (check_config).
Structure describe(const ModelConfig& config);

/// Cost of one forward pass for one image, part by part.
std::vector<PartCost> cost_of(const ModelConfig& config);

}  // namespace diffit::nn
