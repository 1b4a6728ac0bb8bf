// Cost of a network, derived from its configuration alone: parameters and multiply-adds of each part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/diffit/config.h"

namespace diffit::nn {

/// Cost of one part of a network. Multiply-adds and activations are for one image.
struct PartCost {
  std::string part;             // "encoder.0", "blocks", ...
  std::int64_t parameters = 0;  // includes the fixed position table
  double layer_macs = 0;        // multiply-adds of linear and convolution layers, as counted in the paper
  double attention_macs = 0;    // multiply-adds of q k^T and p v, which the paper does not count
  double activations = 0;       // numbers kept for the backward pass
};

/// Cost of one forward pass for one image, part by part.
std::vector<PartCost> cost_of(const ModelConfig& config);
/// Returns the sum over all parts, as a part called "total".
PartCost total(const std::vector<PartCost>& parts);

}  // namespace diffit::nn
