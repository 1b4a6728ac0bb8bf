// Latents out of a latent model: seeds and classes in, samples out, by every sampler.
#pragma once

#include <optional>
#include <string>

#include "diffusion/parameterisation.h"
#include "diffusion/sample_request.h"
#include "diffusion/vp_sampler.h"
#include "nn/diffit/latent_model.h"

namespace diffit::diffusion {

enum class LatentSampler { ddpm, ddim, dpmpp2m, unipc, heun, euler };

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

struct LatentRequest : SampleRequest {
  LatentRequest() { steps = 250; }

  LatentSampler sampler = LatentSampler::ddpm;
  double eta = 0;                                     // ddim
  std::optional<Spacing> spacing;                     // ddim (leading), dpmpp2m and unipc (linspace)
  double sigma_min = 0.002, sigma_max = 80, rho = 7;  // heun and euler; clipped to the schedule's
  Churn churn;                                        // heun and euler
  LatentNetwork guide;                                // the weaker model of autoguidance, with the condition
};

/// How the timesteps of ddim, dpmpp2m and unipc lie: as asked for, or as is usual for the sampler.
Spacing spacing_of(const LatentRequest& request);

/// Points at which the guided network is evaluated for an image.
std::int64_t points_of(const LatentRequest& request);

/// Error(invalid) where the request does not fit the model; generate() does it too.
void check(const LatentConfig& config, const LatentRequest& request);

/// Makes the latents batch by batch, on `device`. Returns the evaluations of one image.
///   config: of the network; `guide` must take the same latents and labels
Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {});

}  // namespace diffit::diffusion
