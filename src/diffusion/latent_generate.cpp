#include "diffusion/latent_generate.h"

#include <cmath>

#include "diffusion/known_part.h"

#include "runtime/autocast.h"
#include "runtime/graph.h"

namespace diffit::diffusion {

LatentSampler latent_sampler_named(const std::string& name) {
  return sampler_named(name, /*timesteps=*/true).id;
}

LatentNetwork noise_network(LatentNetwork network, const LatentConfig& config) {
  const Parameterisation p = parameterisation_of(config);
  if (p.prediction == Prediction::eps) return network;
  return [p, network = std::move(network), schedule = timesteps_of(p.schedule),
          channels = config.in_channels](const at::Tensor& x, double t, const at::Tensor& labels) {
    const at::Tensor output = network(x, t, labels).to(at::kDouble);
    const double sigma = schedule.sigma(std::lround(t));
    const at::Tensor eps = p.noise_of(output.narrow(1, 0, channels), x.to(at::kDouble), sigma);
    return p.learned_variance ? at::cat({eps, output.narrow(1, channels, channels)}, 1) : eps;
  };
}

LatentNetwork latent_network(const LatentDiffiT& model, at::ScalarType dtype) {
  const at::Device device = model.parameters().items()[0].tensor.device();
  using Tensors = runtime::Replayed::Tensors;
  const auto evaluate = [&model, dtype, device](const Tensors& inputs) -> Tensors {
    const Autocast autocast(device.type(), dtype);
    return {model(inputs[0], inputs[1], inputs[2])};
  };
  const auto replayed = std::make_shared<runtime::Replayed>(device, evaluate);
  return noise_network(
      [&model, evaluate, replayed](const at::Tensor& x, double t, const at::Tensor& labels) {
        const Tensors inputs{x, at::full({x.size(0)}, t, x.options()), labels};
        return (model.observed() ? evaluate(inputs) : (*replayed)(inputs))[0];
      },
      model.config());
}

std::int64_t points_of(const LatentRequest& request) {
  return sampler_of(request.sampler).evaluations_of(request.steps);
}

namespace {

/// Splits the output of a noise_network() into eps and the position of the variance.
LevelNetwork level_network(const LatentNetwork& network, std::int64_t channels) {
  return [network, channels](const at::Tensor& x, const NoiseLevel& level, const at::Tensor& labels) {
    const at::Tensor output = network(x, level.t, labels).to(at::kDouble);
    if (output.size(1) == channels) return NetworkOutput{output, {}};
    return NetworkOutput{output.narrow(1, 0, channels), output.narrow(1, channels, channels)};
  };
}

SampledModel sampled_model(const LatentConfig& config, const LatentRequest& request) {
  SampledModel sampled;
  sampled.shape = {config.in_channels, config.input_size, config.input_size};
  sampled.classes = config.classes;
  sampled.schedule = parameterisation_of(config).schedule;
  sampled.always_labelled = true;
  if (request.guide) sampled.weaker = level_network(request.guide, config.in_channels);
  return sampled;
}

}  // namespace

void check(const LatentConfig& config, const LatentRequest& request) {
  check(sampled_model(config, request), request);
}

Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const SampleSink& sink, const SampleProgress& progress,
                     const SampleObserver& observe) {
  return generate(network, config, device, request, KnownPart(), sink, progress, observe);
}

Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const KnownPart& known, const SampleSink& sink,
                     const SampleProgress& progress, const SampleObserver& observe) {
  SampledModel sampled = sampled_model(config, request);
  sampled.device = device;
  sampled.network =
      with_known_part(level_network(network, config.in_channels), known, device, /*discrete=*/true);
  return generate(sampled, request, sink, progress, observe);
}

}  // namespace diffit::diffusion
