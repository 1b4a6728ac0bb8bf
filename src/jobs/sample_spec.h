// SampleSpec under its preset, and as a request for a model.
#pragma once

#include "data/class_names.h"
#include "diffit/sample.h"
#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "diffusion/latent_generate.h"
#include "io/tensors/weights_file.h"
#include "nn/layers/weights_io.h"

namespace diffit::jobs {

/// The largest number of images of one request.
constexpr std::int64_t kLargestImageCount = 100'000'000;

/// The samplers that are used if none is named.
inline constexpr const char* kImageSampler = "heun";
inline constexpr const char* kLatentSampler = "ddpm";

/// Sets fields that are not set from the preset. Throws Error(invalid) if the preset is not for `model`,
/// which errors call `where`.
void apply_preset(SampleSpec& spec, const ModelConfig& model, const std::string& where);

/// The classes of a model file.
struct KnownClasses {
  std::optional<ClassNames> names;
  std::vector<std::int64_t> empty = {};  // labels without training images, which all and random omit
};

/// Seeds, labels, noise, guidance and sampler for the model. Throws Error(invalid) for values out of range
/// and for fields that would have no effect with this sampler.
ImageRequest image_request(const SampleSpec& spec, const ImageConfig& config, const KnownClasses& known);
LatentRequest latent_request(const SampleSpec& spec, const LatentConfig& config, const KnownClasses& known);

Rounding rounding_of(const SampleSpec& spec);

/// How samples are made, as JSON with keys named like the options of the command line; stored with samples.
Json describe(const SampleSpec& spec, const SampleRequest& request);

}  // namespace diffit::jobs
