// Images out of an image-space model: seeds and classes in, samples out.
#pragma once

#include <string>

#include "diffusion/edm.h"
#include "diffusion/sampled_model.h"
#include "nn/diffit/image_model.h"

namespace diffit::diffusion {

using EdmSampler = SamplerId;

/// A request with the usual values of image-space models.
struct ImageRequest : SampleRequest {
  ImageRequest() { steps = 18; }

  const ImageDiffiT* guide = nullptr;  // the weaker model of autoguidance, with the condition
};

/// The sampler by its name on the command line; Error(invalid) otherwise.
EdmSampler edm_sampler_named(const std::string& name);

/// D(x; sigma) for a batch [B, C, R, R], float32 in and out, under the model's own parameterisation. `raw`,
/// where given, becomes the network's output F(c_in x; c_noise) as float32.
at::Tensor denoise_images(const ImageDiffiT& model, const at::Tensor& x, const at::Tensor& sigma,
                          const Condition& condition, at::Tensor* raw = nullptr);

/// Error(invalid) where the request does not fit the model; generate() does it too.
void check(const ImageConfig& config, const ImageRequest& request);

/// Makes the images batch by batch. Returns the evaluations of one image.
Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {}, const SampleObserver& observe = {});

}  // namespace diffit::diffusion
