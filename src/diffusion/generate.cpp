#include "diffusion/generate.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/autocast.h"

namespace diffit::diffusion {

EdmSampler edm_sampler_named(const std::string& name) {
  if (name == "heun") return EdmSampler::heun;
  if (name == "euler") return EdmSampler::euler;
  reject("`sampler`: image models take heun or euler, got '{}'", name);
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

/// The request's grid, its ends clipped to what the network knows.
std::vector<double> sigmas_of(const ImageConfig& config, const ImageRequest& request) {
  const SigmaRange range = sigma_range(parameterisation_of(config).schedule);
  return karras_sigmas(request.steps, std::max(request.sigma_min, range.least),
                       std::min(request.sigma_max, range.most), request.rho);
}

}  // namespace

void check(const ImageConfig& config, const ImageRequest& request) {
  const std::vector<double> sigmas = sigmas_of(config, request);
  check_request(request, config.classes, {config.in_channels, config.resolution, config.resolution},
                request.guide != nullptr, request.churn.noisy_steps(sigmas));
  DIFFIT_CHECK(
      !request.guidance.power_cosine,
      "`guidance_schedule` power-cosine is defined on the 1000 timesteps of latent models; image models take "
      "constant, and `guidance_interval`");
  DIFFIT_CHECK(request.guidance.axis != Guidance::Axis::timestep,
               "`guidance_interval` t: image models have no timesteps; take LO,HI in sigma, or step:LO,HI");
  if (request.guide == nullptr) return;
  const ImageConfig& guide = request.guide->config();
  DIFFIT_CHECK(guide.resolution == config.resolution && guide.in_channels == config.in_channels &&
                   guide.classes == config.classes,
               "`autoguidance`: wanted a model of {}x{}, {} channels, {} classes, got {}x{}, {}, {}",
               config.resolution, config.resolution, config.in_channels, config.classes, guide.resolution,
               guide.resolution, guide.in_channels, guide.classes);
}

namespace {

/// D(x; sigma) with guidance, for one batch.
class GuidedImages {
 public:
  GuidedImages(const ImageDiffiT& model, const ImageRequest& request, const SampleBatch& batch)
      : model_(model), request_(request), classes_(model.config().classes) {
    if (classes_ == 0) return;
    condition_.labels = batch.labels(classes_);
    both_.labels = at::cat({condition_.labels, at::full_like(condition_.labels, classes_)});
  }

  at::Tensor operator()(const at::Tensor& x, const NoiseLevel& level) {
    const at::Tensor input = x.to(at::kFloat);
    const Guidance& g = request_.guidance;
    const double scale = g.scale_at(level);
    const bool counts = g.on() && g.counts(scale);
    evaluations_.made += counts ? 2 : 1;
    evaluations_.saved += g.on() && !counts ? 1 : 0;
    if (!counts) return evaluate(model_, input, level, condition_);
    at::Tensor main, weak;
    if (request_.guide != nullptr) {
      main = evaluate(model_, input, level, condition_);
      weak = evaluate(*request_.guide, input, level, condition_);
    } else {
      const std::vector<at::Tensor> halves = evaluate(model_, at::cat({input, input}), level, both_).chunk(2);
      main = halves[0];
      weak = halves[1];
    }
    return guided(g, main, weak, at::full({1}, scale, main.options()));
  }

  const Evaluations& evaluations() const { return evaluations_; }

 private:
  static at::Tensor evaluate(const ImageDiffiT& model, const at::Tensor& x, const NoiseLevel& level,
                             const Condition& condition) {
    return denoise_images(model, x, at::full({x.size(0)}, level.sigma, x.options()), condition)
        .to(at::kDouble);
  }

  const ImageDiffiT& model_;
  const ImageRequest& request_;
  std::int64_t classes_;
  Condition condition_, both_;
  Evaluations evaluations_;
};

}  // namespace

Evaluations generate(const ImageDiffiT& model, const ImageRequest& request, const SampleSink& sink,
                     const SampleProgress& progress) {
  const ImageConfig& config = model.config();
  check(config, request);
  const std::vector<double> sigmas = sigmas_of(config, request);
  const auto sampler = request.sampler == EdmSampler::heun ? heun : euler;
  const auto steps = static_cast<double>(request.steps);
  const std::int64_t points = request.sampler == EdmSampler::heun ? 2 * request.steps - 1 : request.steps;
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  std::int64_t done = request.first * points;
  Evaluations evaluations;
  const auto make = [&](const SampleBatch& batch) {
    GuidedImages guided_model(model, request, batch);
    std::int64_t step = 0;
    const Denoiser denoiser = [&](const at::Tensor& x, double sigma) {
      const Autocast autocast(x.device().type(), request.dtype);
      at::Tensor d = guided_model(x, {.sigma = sigma, .step = static_cast<double>(step) / steps});
      done += batch.size();
      if (progress) progress(done, points * count);
      return d;
    };
    const at::Tensor samples = sampler(
        denoiser, batch.start(), sigmas, request.churn,
        [&](std::int64_t k) { return batch.noise_of_step(k); },
        [&](std::int64_t steps_done, std::int64_t) { step = steps_done; });
    evaluations = guided_model.evaluations();
    return samples;
  };
  make_batches(request, {config.in_channels, config.resolution, config.resolution},
               model.parameters().items()[0].tensor.device(), make, sink);
  return evaluations;
}

}  // namespace diffit::diffusion
