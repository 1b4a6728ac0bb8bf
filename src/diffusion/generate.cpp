#include "diffusion/generate.h"

#include "base/error.h"
#include "diffusion/known_part.h"
#include "runtime/autocast.h"
#include "runtime/graph.h"

namespace diffit::diffusion {

EdmSampler edm_sampler_named(const std::string& name) {
  return sampler_named(name, /*timesteps=*/false).id;
}

at::Tensor denoise_images(const ImageDiffiT& model, const at::Tensor& x, const at::Tensor& sigma,
                          const Condition& condition, at::Tensor* raw) {
  const RawNetwork network = [&](const at::Tensor& scaled, const at::Tensor& c_noise) {
    const at::Tensor f =
        model(scaled.permute({0, 2, 3, 1}).contiguous(), c_noise, condition).permute({0, 3, 1, 2});
    if (raw != nullptr) *raw = f.to(at::kFloat);
    return f;
  };
  return denoised(network, parameterisation_of(model.config()), x, sigma);
}

namespace {

/// Returns D(x; sigma) of the model, with matrix products in `dtype`.
LevelNetwork level_network(const ImageDiffiT& model, at::ScalarType dtype) {
  const at::Device device = model.parameters().items()[0].tensor.device();
  using Tensors = runtime::Replayed::Tensors;  // x, sigma, and labels if there are any
  const auto evaluate = [&model, dtype, device](const Tensors& inputs) -> Tensors {
    const Autocast autocast(device.type(), dtype);
    Condition condition;
    if (inputs.size() > 2) condition.labels = inputs[2];
    return {denoise_images(model, inputs[0], inputs[1], condition).to(at::kDouble)};
  };
  const auto replayed = std::make_shared<runtime::Replayed>(device, evaluate);
  return
      [&model, evaluate, replayed](const at::Tensor& x, const NoiseLevel& level, const at::Tensor& labels) {
        Tensors inputs{x, at::full({x.size(0)}, level.sigma, x.options())};
        if (labels.defined()) inputs.push_back(labels);
        return NetworkOutput{(model.observed() ? evaluate(inputs) : (*replayed)(inputs))[0], {}};
      };
}

SampledModel sampled_model(const ImageConfig& config, const ImageRequest& request) {
  SampledModel sampled;
  sampled.shape = {config.in_channels, config.resolution, config.resolution};
  sampled.classes = config.classes;
  sampled.schedule = parameterisation_of(config).schedule;
  if (request.guide != nullptr) sampled.weaker = level_network(*request.guide, request.dtype);
  return sampled;
}

}  // namespace

void check(const ImageConfig& config, const ImageRequest& request) {
  check(sampled_model(config, request), request);
  if (request.guide == nullptr) return;
  const ImageConfig& guide = request.guide->config();
  DIFFIT_CHECK(guide.resolution == config.resolution && guide.in_channels == config.in_channels &&
                   guide.classes == config.classes,
               "`autoguidance`: wanted a model of {}x{}, {} channels, {} classes, got {}x{}, {}, {}",
               config.resolution, config.resolution, config.in_channels, config.classes, guide.resolution,
               guide.resolution, guide.in_channels, guide.classes);
}

Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const SampleSink& sink,
                     const SampleProgress& progress, const SampleObserver& observe) {
  return generate(model, request, KnownPart(), sink, progress, observe);
}

Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const KnownPart& known,
                     const SampleSink& sink, const SampleProgress& progress, const SampleObserver& observe) {
  check(model.config(), request);
  SampledModel sampled = sampled_model(model.config(), request);
  sampled.device = model.parameters().items()[0].tensor.device();
  sampled.network =
      with_known_part(level_network(model, request.dtype), known, sampled.device, /*discrete=*/false);
  return generate(sampled, request, sink, progress, observe);
}

}  // namespace diffit::diffusion
