#include "diffusion/sampled_model.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "diffusion/vp_as_ve.h"

namespace diffit::diffusion {

namespace {

/// Returns the timesteps of a discrete schedule.
std::optional<VpSchedule> timesteps_if_any(Schedule schedule) {
  if (schedule != Schedule::vp_linear) return {};
  return timesteps_of(schedule);
}

/// Returns the noise levels of the request, clipped to the range of the schedule.
std::vector<double> sigmas_of(const SampledModel& model, const SampleRequest& r,
                              const VpSchedule* timesteps) {
  if (!sampler_of(r.sampler).uses_sigmas) return {};
  if (timesteps != nullptr) return karras_sigmas_of(*timesteps, r.steps, r.sigma_min, r.sigma_max, r.rho);
  const SigmaRange range = sigma_range(model.schedule);
  return karras_sigmas(r.steps, std::max(r.sigma_min, range.least), std::min(r.sigma_max, range.most), r.rho);
}

/// Tells the observer of the evaluation `output` at x, both as the sampler has them: D(x; sigma), or of a
/// discrete schedule eps(x_t, t) with x_t of unit variance.
void tell(const SampleObserver& observe, SampleState state, const at::Tensor& x, const at::Tensor& output,
          bool discrete) {
  state.x = x.to(at::kDouble);
  state.estimate = output;
  if (discrete) {
    state.x = state.x * std::sqrt(1 + state.sigma * state.sigma);
    state.estimate = state.x - state.sigma * output;
  }
  observe(state);
}

}  // namespace

void check(const SampledModel& model, const SampleRequest& request) {
  const std::optional<VpSchedule> timesteps = timesteps_if_any(model.schedule);
  const VpSchedule* steps = timesteps ? &*timesteps : nullptr;
  const Sampler& sampler = sampler_of(request.sampler);
  DIFFIT_CHECK(steps != nullptr || !sampler.needs_timesteps, "`sampler`: image models take {}, got '{}'",
               sampler_names(false), sampler.name);
  const std::int64_t noisy_steps = sampler.noisy_steps({request, steps, sigmas_of(model, request, steps)});
  check_request(request, model.classes, model.shape, static_cast<bool>(model.weaker), noisy_steps);
  if (steps != nullptr) return;
  DIFFIT_CHECK(
      !request.guidance.power_cosine,
      "`guidance_schedule` power-cosine is defined on the 1000 timesteps of latent models; image models take "
      "constant, and `guidance_interval`");
  DIFFIT_CHECK(request.guidance.axis != Guidance::Axis::timestep,
               "`guidance_interval` t: image models have no timesteps; take LO,HI in sigma, or step:LO,HI");
}

Evaluations generate(const SampledModel& model, const SampleRequest& request, const SampleSink& sink,
                     const SampleProgress& progress, const SampleObserver& observe) {
  check(model, request);
  const std::optional<VpSchedule> timesteps = timesteps_if_any(model.schedule);
  const VpSchedule* schedule = timesteps ? &*timesteps : nullptr;
  const Sampler& sampler = sampler_of(request.sampler);
  const std::vector<double> sigmas = sigmas_of(model, request, schedule);
  const std::int64_t points = sampler.evaluations_of(request.steps);
  const std::int64_t all = points * static_cast<std::int64_t>(request.seeds.size());
  std::int64_t done = request.first * points;
  Evaluations evaluations;
  const auto make = [&](const SampleBatch& batch) {
    const bool labelled = model.classes > 0 || model.always_labelled;
    GuidedNetwork guided_network(model.network, model.weaker, request.guidance,
                                 labelled ? batch.labels(model.classes) : at::Tensor(), model.classes);
    std::int64_t step = 0, observed = -1;
    const auto evaluate = [&](const at::Tensor& x, NoiseLevel level) {
      level.step = static_cast<double>(step) / static_cast<double>(request.steps);
      NetworkOutput output = guided_network(x, level);
      done += batch.size();
      if (progress) progress(done, all);
      if (observe && observed != step) {
        observed = step;
        tell(observe, {.first = batch.first(), .step = step, .steps = request.steps, .sigma = level.sigma}, x,
             output.value, schedule != nullptr);
      }
      return output;
    };
    SamplerInput input{{request, schedule, sigmas}};
    input.churn = request.churn;
    input.start = batch.start();
    input.noise = [&](std::int64_t k) { return batch.noise_of_step(k); };
    input.progress = [&](std::int64_t steps_done, std::int64_t) { step = steps_done; };
    if (schedule == nullptr) {
      input.denoise = [&](const at::Tensor& x, double sigma) { return evaluate(x, {.sigma = sigma}).value; };
    } else {
      input.network = [&](const at::Tensor& x, std::int64_t t) {
        NetworkOutput output = evaluate(x, {.sigma = schedule->sigma(t), .t = static_cast<double>(t)});
        return NoisePrediction{output.value, output.v};
      };
      input.denoise = as_denoiser(input.network, *schedule);
      input.churn.round_sigma = [&](double sigma) { return schedule->sigma(nearest_step(*schedule, sigma)); };
    }
    at::Tensor samples = sampler.run(input);
    evaluations = guided_network.evaluations();
    return samples;
  };
  make_batches(request, model.shape, model.device, make, sink);
  return evaluations;
}

}  // namespace diffit::diffusion
