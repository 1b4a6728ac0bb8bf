// Model files made out of others: another element type, one file out of many, out of what torch saved.
#pragma once

#include <optional>
#include <string>

#include "io/tensors/weights_file.h"
#include "nn/vae/vae_config.h"

namespace diffit::model {

struct ConvertReport {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;  // of the data written
  std::string config;       // "stated" by the source, "inferred" from names and shapes, or "none"
};

/// Writes every tensor of `source` into one .safetensors file, floating-point ones as `dtype` where one is
/// given (f32, f16 or bf16), tensor by tensor: memory for one piece at a time. Every kind of model is taken:
/// image, latent, autoencoder, classifier, and weights of other programs. Metadata is kept; a configuration
/// that the file does not state is `vae` where that is given (of diffusers' config.json), else it is added
/// where it can be inferred. The file appears whole or not at all. Error(invalid) names a tensor that holds
/// NaN or infinity, or numbers that `dtype` cannot.
/// `null_row` adds a row of zeros to the label table of a latent model that has none for the null label, and
/// says so in the metadata (kNullRowKey); Error(invalid) where there is no such table.
ConvertReport convert_model(const WeightsFile& source, const fs::path& destination,
                            std::optional<Dtype> dtype, const std::optional<VaeConfig>& vae = std::nullopt,
                            bool null_row = false);

}  // namespace diffit::model
