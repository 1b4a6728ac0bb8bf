// Model files: weights with their configuration in the metadata key "diffit.config".
#pragma once

#include <string>
#include <variant>

#include "io/tensors/weights_file.h"
#include "nn/layers/weights_io.h"

namespace diffit::model {

inline constexpr const char* kConfigKey = "diffit.config";
/// Metadata key that marks a training checkpoint, which cannot be loaded as a model.
inline constexpr const char* kStateKey = "diffit.state";

/// Metadata key of a latent model whose null-label row was added by convert. The row is untrained, so
/// guidance is an error.
inline constexpr const char* kNullRowKey = "diffit.null_row";

/// Configuration stated in a file; otherwise the configuration of a released latent model, inferred from
/// names and shapes.
ModelConfig config_of(const WeightsFile& file);

/// Throws Error(invalid) if the configuration needs more parameters than the file contains. Called before
/// memory is allocated.
void check_size(const WeightsFile& file, const ModelConfig& config);

/// Checks names, shapes and dtypes without reading weights. Error(invalid) lists every missing, unexpected or
/// misshapen tensor.
void check_model(const WeightsFile& file, const ModelConfig& config);

using LoadedModel = std::variant<ImageDiffiT, LatentDiffiT>;

/// The trainable network of a file; model/diffusion_model.h opens one for evaluation. Error(invalid) lists every
/// tensor that does not fit.
LoadedModel load_model(const WeightsFile& file, at::Device device);

/// Describes where the configuration of a file is, for error messages.
std::string place_of_config(const WeightsFile& file);

/// Writes weights atomically under the names of `parameters`. `extra` is added to the metadata. Throws
/// Error(failed) and writes nothing if a weight is not finite.
void save_model(const fs::path& path, const ParameterList& parameters, const ModelConfig& config,
                const Metadata& extra);
/// The same for any network, with the configuration to store.
void save_weights(const fs::path& path, const ParameterList& parameters, const Json& config,
                  const Metadata& extra);

}  // namespace diffit::model
