// The config.json of an autoencoder in diffusers' folders.
#pragma once

#include <string>

#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// "_class_name" of a config.json of diffusers; "" where it has none.
std::string diffusers_class(const Json& config);

/// The autoencoder that a config.json describes. Error(invalid), beginning with `where`, names the class or
/// the key where it is another architecture than AutoencoderKL with plain blocks, or where its latents are
/// shifted.
VaeConfig read_diffusers_config(const Json& config, const std::string& where);

}  // namespace diffit::nn
