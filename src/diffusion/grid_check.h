// Warns of time grids that a sampler accepts but that make its samples worse.
#pragma once

#include <string>

#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"

namespace diffit::diffusion {

/// Samplers start from pure noise. If the grid starts well below the highest noise level of the process, the
/// network assumes that part of the image is visible already, and the samples get worse. Returns a warning
/// that states where the grid starts and which options to use instead, or "" if the grid is fine. The request
/// must be valid.
std::string grid_warning(const LatentRequest& request);
std::string grid_warning(const ImageConfig& config, const ImageRequest& request);

}  // namespace diffit::diffusion
