// Sampling from image-space models.
#pragma once

#include <string>

#include "diffusion/edm.h"
#include "diffusion/sampled_model.h"
#include "nn/diffit/image_model.h"

namespace diffit::diffusion {

using EdmSampler = SamplerId;

/// A request with the default values of image-space models.
struct ImageRequest : SampleRequest {
  ImageRequest() { steps = 18; }

  const ImageDiffiT* guide = nullptr;  // weaker model for autoguidance; receives the condition too
};

/// Returns the sampler with that name. Throws Error(invalid) for other names.
EdmSampler edm_sampler_named(const std::string& name);

/// Returns D(x; sigma) for a batch [B, C, R, R], float32 in and out, with the parameterisation of the model.
/// `raw`, if given, receives the output of the network, F(c_in x; c_noise), in float32.
at::Tensor denoise_images(const ImageDiffiT& model, const at::Tensor& x, const at::Tensor& sigma,
                          const Condition& condition, at::Tensor* raw = nullptr);

/// Throws Error(invalid) if the request does not fit the model; generate() does so too.
void check(const ImageConfig& config, const ImageRequest& request);

/// Generates the images batch by batch. Returns the number of evaluations per image.
Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {}, const SampleObserver& observe = {});

}  // namespace diffit::diffusion
