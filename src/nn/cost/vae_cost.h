// Cost of the autoencoder, derived from its configuration alone: parameters and multiply-adds of each part.
#pragma once

#include "nn/cost/cost.h"
#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// Cost of encoding and decoding one image of side `resolution`, a multiple of the factor. The parts are
/// "encoder" and "decoder", each with its 1x1 convolution of the moments or the latent.
std::vector<PartCost> cost_of(const VaeConfig& config, std::int64_t resolution);

}  // namespace diffit::nn
