// The structure of the autoencoder, derived from its configuration alone.
#pragma once

#include <vector>

#include "nn/layers/structure.h"
#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// Describes the layers that encode and decode one image of side `resolution`, a multiple of the factor, in
/// the order of the parameters. There are two parts: "encoder", which includes the 1x1 convolution of the
/// moments, and "decoder", which includes the 1x1 convolution of the latent.
Structure describe(const VaeConfig& config, std::int64_t resolution);

/// Cost of encoding and decoding one such image.
std::vector<PartCost> cost_of(const VaeConfig& config, std::int64_t resolution);

}  // namespace diffit::nn
