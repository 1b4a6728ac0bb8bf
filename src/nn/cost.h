// What a network costs: parameters and multiply-adds, part by part, from the configuration alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/config.h"

namespace diffit {

struct PartCost {
  std::string part;             // "encoder.0", "blocks", ...
  std::int64_t parameters = 0;  // the fixed position table included
  double layer_macs = 0;        // of linear layers and convolutions, a picture: what the paper counts
  double attention_macs = 0;    // of q k^T and p v, which the paper's count leaves out
  double activations = 0;       // numbers kept for the backward pass, a picture
};

/// One evaluation of one picture, part by part.
std::vector<PartCost> cost_of(const ModelConfig& config);
/// The sum, as part "total".
PartCost total(const std::vector<PartCost>& parts);

}  // namespace diffit
