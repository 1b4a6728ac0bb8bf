// Latents out of a latent model: seeds and classes in, samples out, by every sampler.
#pragma once

#include <string>

#include "diffusion/sampled_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::diffusion {

using LatentSampler = SamplerId;

/// The sampler by its name on the command line; Error(invalid) otherwise.
LatentSampler latent_sampler_named(const std::string& name);

/// The network of a latent model: x [B, C, S, S] float32, t in 0..999 for all of them, labels [B] int64 in
/// 0..classes (classes: the null label) -> [B, 2C, S, S]: eps, then the variance's place in its range, or
/// [B, C, S, S] where the variance is not learned.
using LatentNetwork = std::function<at::Tensor(const at::Tensor& x, double t, const at::Tensor& labels)>;

/// Returns a network that predicts eps from `network`, which predicts what `config` states: `network` itself
/// if that is eps, else the converted prediction in float64.
LatentNetwork noise_network(LatentNetwork network, const LatentConfig& config);

/// The model as a noise_network(), its products in `dtype`. The model must outlive it.
LatentNetwork latent_network(const LatentDiffiT& model, at::ScalarType dtype);

/// A request with the usual values of latent models.
struct LatentRequest : SampleRequest {
  LatentRequest() {
    sampler = SamplerId::ddpm;
    steps = 250;
  }

  LatentNetwork guide;  // the weaker model of autoguidance, with the condition
};

/// Points at which the guided network is evaluated for an image.
std::int64_t points_of(const LatentRequest& request);

/// Error(invalid) where the request does not fit the model; generate() does it too.
void check(const LatentConfig& config, const LatentRequest& request);

/// Makes the latents batch by batch, on `device`. Returns the evaluations of one image.
///   config: of the network; `guide` must take the same latents and labels
Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {}, const SampleObserver& observe = {});

}  // namespace diffit::diffusion
