// What the autoencoder costs: parameters and multiply-adds, part by part, from the configuration alone.
#pragma once

#include "nn/cost.h"
#include "nn/vae_config.h"

namespace diffit {

/// Encoding and decoding one picture of side `resolution`, a multiple of the factor: the parts "encoder" and
/// "decoder" (each with its 1x1 convolution of the moments or the latent).
std::vector<PartCost> cost_of(const VaeConfig& config, std::int64_t resolution);

}  // namespace diffit
