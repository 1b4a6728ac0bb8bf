// Fine-tuning: a training that starts from the weights of a model file.
#pragma once

#include <string>
#include <vector>

#include "nn/layers/parameter_list.h"
#include "train/recipe.h"

namespace diffit::training {

/// On model files that a latent training wrote: the identity of the autoencoder (data/latents.h), and the
/// scale.
inline constexpr const char* kVaeIdentityKey = "diffit.vae_identity";
inline constexpr const char* kLatentScaleKey = "diffit.latent_scale";

/// Copies the weights of train.init_from into `parameters`, which were initialised before. A label table of
/// another number of classes keeps its start, but for the null label's row, which is the file's. Returns what
/// is to be said of it. Error(invalid) where the weights do not fit, or where the file was trained on latents
/// of another autoencoder or scale than the recipe's.
std::vector<std::string> start_from(const Recipe& recipe, const ParameterList& parameters);

}  // namespace diffit::training
