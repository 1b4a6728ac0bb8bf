#include "diffusion/latent_generate.h"

#include <cmath>

#include "base/error.h"
#include "diffusion/ddim.h"
#include "diffusion/ddpm.h"
#include "diffusion/dpmpp2m.h"
#include "diffusion/unipc.h"
#include "diffusion/vp_as_ve.h"
#include "runtime/autocast.h"

namespace diffit::diffusion {

LatentSampler latent_sampler_named(const std::string& name) {
  if (name == "ddpm") return LatentSampler::ddpm;
  if (name == "ddim") return LatentSampler::ddim;
  if (name == "dpmpp2m") return LatentSampler::dpmpp2m;
  if (name == "unipc") return LatentSampler::unipc;
  if (name == "heun") return LatentSampler::heun;
  if (name == "euler") return LatentSampler::euler;
  reject("`sampler`: latent models take ddpm, ddim, dpmpp2m, unipc, heun or euler, got '{}'", name);
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
  return noise_network(
      [&model, dtype](const at::Tensor& x, double t, const at::Tensor& labels) {
        const Autocast autocast(x.device().type(), dtype);
        return model(x, at::full({x.size(0)}, t, x.options()), labels);
      },
      model.config());
}

Spacing spacing_of(const LatentRequest& request) {
  return request.spacing.value_or(request.sampler == LatentSampler::ddim ? Spacing::leading
                                                                         : Spacing::linspace);
}

std::int64_t points_of(const LatentRequest& request) {
  return request.sampler == LatentSampler::heun ? 2 * request.steps - 1 : request.steps;
}

namespace {

/// eps(x, t) with guidance, for one batch.
class GuidedLatents {
 public:
  GuidedLatents(const LatentNetwork& network, const LatentConfig& config, const LatentRequest& request,
                const SampleBatch& batch)
      : network_(network),
        request_(request),
        channels_(config.in_channels),
        labels_(batch.labels(config.classes)) {
    both_ = at::cat({labels_, at::full_like(labels_, config.classes)});
  }

  NoisePrediction operator()(const at::Tensor& x, const NoiseLevel& level) {
    const at::Tensor input = x.to(at::kFloat);
    const Guidance& g = request_.guidance;
    const double scale = g.scale_at(level);
    const bool counts = g.on() && g.counts(scale);
    evaluations_.made += counts ? 2 : 1;
    evaluations_.saved += g.on() && !counts ? 1 : 0;
    if (!counts) return split(network_(input, level.t, labels_));
    NoisePrediction main, weak;
    if (request_.guide) {
      main = split(network_(input, level.t, labels_));
      weak = split(request_.guide(input, level.t, labels_));
    } else {
      const std::vector<at::Tensor> halves = network_(at::cat({input, input}), level.t, both_).chunk(2);
      main = split(halves[0]);
      weak = split(halves[1]);
    }
    // The variance is the conditional half's own (released code).
    return {guided(g, main.eps, weak.eps, at::full({1}, scale, main.eps.options())), main.v};
  }

  const Evaluations& evaluations() const { return evaluations_; }

 private:
  NoisePrediction split(const at::Tensor& output) const {
    const at::Tensor precise = output.to(at::kDouble);
    if (precise.size(1) == channels_) return {precise, {}};
    return {precise.narrow(1, 0, channels_), precise.narrow(1, channels_, channels_)};
  }

  const LatentNetwork& network_;
  const LatentRequest& request_;
  std::int64_t channels_;
  at::Tensor labels_, both_;
  Evaluations evaluations_;
};

at::Tensor run_sampler(const LatentRequest& r, const VpSchedule& schedule, const NoisePredictor& network,
                       const at::Tensor& start, const StepNoise& noise, const StepProgress& progress) {
  const auto grid = [&] { return timestep_grid(spacing_of(r), r.steps, schedule.size()); };
  switch (r.sampler) {
    case LatentSampler::ddpm:
      return ddpm(network, start, schedule.respaced(r.steps), noise, progress);
    case LatentSampler::ddim:
      return ddim(network, start, schedule, grid(), r.eta, noise, progress);
    case LatentSampler::dpmpp2m:
      return dpmpp2m(network, start, schedule, grid(), progress);
    case LatentSampler::unipc:
      return unipc(network, start, schedule, grid(), progress);
    case LatentSampler::heun:
    case LatentSampler::euler:
      break;
  }
  Churn churn = r.churn;
  churn.round_sigma = [&](double sigma) { return schedule.sigma(nearest_step(schedule, sigma)); };
  return (r.sampler == LatentSampler::heun ? heun : euler)(
      as_denoiser(network, schedule), start,
      karras_sigmas_of(schedule, r.steps, r.sigma_min, r.sigma_max, r.rho), churn, noise, progress);
}

}  // namespace

void check(const LatentConfig& config, const LatentRequest& request) {
  const VpSchedule schedule = timesteps_of(parameterisation_of(config).schedule);
  std::int64_t noisy_steps = 0;
  switch (request.sampler) {
    case LatentSampler::ddpm:
      noisy_steps = schedule.respaced(request.steps).size() - 1;
      break;
    case LatentSampler::heun:
    case LatentSampler::euler:
      noisy_steps = request.churn.noisy_steps(
          karras_sigmas_of(schedule, request.steps, request.sigma_min, request.sigma_max, request.rho));
      break;
    default:
      timestep_grid(spacing_of(request), request.steps, schedule.size());
      if (request.sampler == LatentSampler::ddim && request.eta > 0) noisy_steps = request.steps - 1;
  }
  check_request(request, config.classes, {config.in_channels, config.input_size, config.input_size},
                static_cast<bool>(request.guide), noisy_steps);
}

Evaluations generate(const LatentNetwork& network, const LatentConfig& config, at::Device device,
                     const LatentRequest& request, const SampleSink& sink, const SampleProgress& progress) {
  check(config, request);
  const std::vector<std::int64_t> shape{config.in_channels, config.input_size, config.input_size};
  const VpSchedule schedule = timesteps_of(parameterisation_of(config).schedule);
  const std::int64_t all = points_of(request) * static_cast<std::int64_t>(request.seeds.size());
  std::int64_t done = request.first * points_of(request);
  Evaluations evaluations;
  const auto make = [&](const SampleBatch& batch) {
    GuidedLatents guided_network(network, config, request, batch);
    std::int64_t step = 0;
    const NoisePredictor predictor = [&](const at::Tensor& x, std::int64_t t) {
      NoisePrediction prediction =
          guided_network(x, {.sigma = schedule.sigma(t),
                             .t = static_cast<double>(t),
                             .step = static_cast<double>(step) / static_cast<double>(request.steps)});
      done += batch.size();
      if (progress) progress(done, all);
      return prediction;
    };
    const at::Tensor samples = run_sampler(
        request, schedule, predictor, batch.start(), [&](std::int64_t k) { return batch.noise_of_step(k); },
        [&](std::int64_t steps_done, std::int64_t) { step = steps_done; });
    evaluations = guided_network.evaluations();
    return samples;
  };
  make_batches(request, shape, device, make, sink);
  return evaluations;
}

}  // namespace diffit::diffusion
