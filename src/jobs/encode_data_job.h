// Parts of diffit::encode_data() (diffit/autoencoder.h).
#pragma once

#include "data/latents.h"
#include "diffit/autoencoder.h"

namespace diffit::jobs {

/// What is known of a folder of latents.
LatentData latent_data(const LatentInfo& info);

}  // namespace diffit::jobs
