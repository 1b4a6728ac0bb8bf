// Reads the config.json of an autoencoder in a folder of diffusers.
#pragma once

#include <string>

#include "nn/vae/vae_config.h"

namespace diffit::nn {

/// Returns "_class_name" of a config.json of diffusers, or "" if it has none.
std::string diffusers_class(const Json& config);

/// Returns the configuration that a config.json describes. Throws Error(invalid), with a message that begins
/// with `where` and names the class or key, if the architecture is not AutoencoderKL with its default blocks,
/// or if its latents are shifted.
VaeConfig read_diffusers_config(const Json& config, const std::string& where);

}  // namespace diffit::nn
