// Where the weights and the configuration of an autoencoder lie: a file, or a folder of diffusers.
#pragma once

#include <optional>

#include "base/file.h"
#include "config/fields.h"

namespace diffit::model {

struct VaePlace {
  fs::path weights;
  fs::path config;                  // of diffusers; empty where there is none
  std::optional<Json> config_json;  // its content
  bool must_fit = false;            // the configuration belongs to the weights, whatever these say
};

/// A file is taken as it is; a config.json beside it that names AutoencoderKL comes with it. A folder is one
/// of diffusers: config.json with diffusion_pytorch_model.safetensors (its index, .bin, or a variant such as
/// .fp16), a pipeline with such a folder `vae`, or a snapshot of the Hugging Face cache. Error(invalid) tells
/// what of it is missing, or which class it is of instead.
VaePlace find_vae(const fs::path& given);

/// Whether a folder is one of diffusers (config.json with a class, or a pipeline) or of the Hugging Face
/// cache.
bool is_diffusers_folder(const fs::path& folder);

}  // namespace diffit::model
