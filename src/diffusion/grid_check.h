// Time grids that a sampler accepts and that spoil its samples.
#pragma once

#include <string>

#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"

namespace diffit::diffusion {

/// Samplers start from pure noise. A grid that starts well below the highest noise of the process tells the
/// network that the image can be seen already, and the samples suffer. Returns a warning that says where the
/// grid starts and what to ask for instead, "" where nothing is wrong. The request must be a valid one.
std::string grid_warning(const LatentRequest& request);
std::string grid_warning(const ImageConfig& config, const ImageRequest& request);

}  // namespace diffit::diffusion
