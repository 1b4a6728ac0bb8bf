// Sampling from latent models.
#pragma once

#include <string>

#include "diffusion/sampled_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::diffusion {

using LatentSampler = SamplerId;

/// Returns the sampler with that name. Throws Error(invalid) for other names.
LatentSampler latent_sampler_named(const std::string& name);

/// Network of a latent model: x [B, C, S, S] float32, t in 0..999 (the same for all samples), labels [B]
/// int64 in 0..classes (classes is the null label) -> [B, 2C, S, S]: eps, then the position of the variance
/// in its range; [B, C, S, S] if the variance is not learned.
using LatentNetwork = std::function<at::Tensor(const at::Tensor& x, double t, const at::Tensor& labels)>;

/// Returns a network that predicts eps from `network`, which predicts what `config` states: `network` itself
/// if that is eps, else the converted prediction in float64.
LatentNetwork noise_network(LatentNetwork network, const LatentConfig& config);

/// Returns the model as a noise_network(), with matrix products in `dtype`. The model must outlive it.
LatentNetwork latent_network(const LatentDiffiT& model, at::ScalarType dtype);

/// A request with the default values of latent models.
struct LatentRequest : SampleRequest {
  LatentRequest() {
    sampler = SamplerId::ddpm;
    steps = 250;
  }

  LatentNetwork guide;  // weaker model for autoguidance; receives the condition too
};

/// Returns the number of evaluations of the guided network per image.
std::int64_t points_of(const LatentRequest& request);

/// Throws Error(invalid) if the request does not fit the model; generate() does so too.
void check(const LatentConfig& config, const LatentRequest& request);

/// Generates the latents batch by batch on `device`. Returns the number of evaluations per image.
///   config: that of the network; `guide` must accept the same latents and labels
Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {}, const SampleObserver& observe = {});

}  // namespace diffit::diffusion
