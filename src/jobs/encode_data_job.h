// Parts of diffit::encode_data() (diffit/autoencoder.h) and of descriptions of latents.
#pragma once

#include "config/fields.h"
#include "data/latents.h"
#include "diffit/autoencoder.h"

namespace diffit::jobs {

/// What is known of a folder of latents.
LatentData latent_data(const LatentInfo& info);

/// What `diffit data info` and `diffit data encode` print of latents in `folder`: as JSON, and in words.
Json latents_json(const std::string& folder, const LatentData& latents);
std::string latents_text(const std::string& folder, const LatentData& latents);

}  // namespace diffit::jobs
