// Model files: weights that describe themselves by the metadata key "diffit.config".
#pragma once

#include <string>
#include <variant>

#include "io/tensors/weights_file.h"
#include "nn/layers/weights_io.h"

namespace diffit::model {

inline constexpr const char* kConfigKey = "diffit.config";
/// Metadata of a file that training resumes from, and that is no model as it is.
inline constexpr const char* kStateKey = "diffit.state";

/// Metadata of a latent model whose row of the null label was added by convert: it was not trained, so that
/// guidance makes no sense.
inline constexpr const char* kNullRowKey = "diffit.null_row";

/// The configuration that a file states; without one, that of a released latent checkpoint, from names and
/// shapes.
ModelConfig config_of(const WeightsFile& file);

/// Error(invalid) where a configuration claims more than the file holds: asked before memory is taken.
void check_size(const WeightsFile& file, const ModelConfig& config);

/// Error(invalid) lists every tensor that the model of `config` lacks, has no use for, or has in another
/// shape or kind. No weight is read.
void check_model(const WeightsFile& file, const ModelConfig& config);

using Model = std::variant<ImageDiffiT, LatentDiffiT>;

/// A model with its weights, ready to be evaluated. Error(invalid) lists every tensor that does not fit.
Model load_model(const WeightsFile& file, at::Device device);

/// Names the place of a file's configuration in errors.
std::string place_of_config(const WeightsFile& file);

/// Writes weights under the names of `parameters`, whole or not at all. `extra` is added to the metadata.
/// A weight that is not finite is Error(failed): no such file is ever written.
void save_model(const fs::path& path, const ParameterList& parameters, const ModelConfig& config,
                const Metadata& extra);
/// The same of any network, by the configuration that its file is to state.
void save_weights(const fs::path& path, const ParameterList& parameters, const Json& config,
                  const Metadata& extra);

}  // namespace diffit::model
