// Samples of which a part is known: inpainting.
#pragma once

#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"

namespace diffit::diffusion {

/// The known part of every sample of a request.
struct KnownPart {
  at::Tensor x0;    // [C, R, R] float32: the clean sample; undefined: nothing is known
  at::Tensor mask;  // [1, R, R] bool: true where the sample is made, false where it is x0
};

/// Returns the network with its estimate of the clean sample replaced by x0 where that is known (Wang, Yu,
/// Zhang 2023, "Zero-shot image restoration using denoising diffusion null-space model", eq. 13, with the
/// mask as A): D' = mask D + (1 - mask) x0. The last step of every sampler ends at the estimate, so that the
/// known part of a sample is x0.
///   discrete: the network returns eps(x_t, t), else D(x; sigma)
LevelNetwork with_known_part(LevelNetwork network, const KnownPart& known, at::Device device, bool discrete);

/// As generate() without the known part.
Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const KnownPart& known,
                     const SampleSink& sink, const SampleProgress& progress, const SampleObserver& observe);
Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const KnownPart& known, const SampleSink& sink,
                     const SampleProgress& progress, const SampleObserver& observe);

}  // namespace diffit::diffusion
