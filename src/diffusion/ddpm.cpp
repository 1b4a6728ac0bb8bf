#include "diffusion/ddpm.h"

#include "diffusion/samplers.h"

namespace diffit::diffusion {

at::Tensor ddpm(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const StepNoise& step_noise, const StepProgress& progress) {
  const std::int64_t steps = schedule.size();
  at::Tensor x = noise.to(at::kDouble);
  for (std::int64_t i = steps - 1; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    const auto [eps, v] = network(x, schedule.timesteps[at]);
    const at::Tensor x0 = x0_of(x, eps, schedule.alpha_bar[at]);
    const at::Tensor mean = schedule.posterior_x0[at] * x0 + schedule.posterior_xt[at] * x;
    if (i == 0) {
      x = mean;
    } else {
      const at::Tensor log_variance = v.defined()
                                          ? schedule.log_variance(v, i)
                                          : at::full({}, schedule.posterior_log_variance[at], mean.options());
      x = mean + at::exp(0.5 * log_variance) * step_noise(steps - 1 - i).to(at::kDouble);
    }
    if (progress) progress(steps - i, steps);
  }
  return x;
}

extern const Sampler sampler_ddpm;
const Sampler sampler_ddpm{
    .id = SamplerId::ddpm,
    .name = "ddpm",
    .title = "ancestral sampling",
    .source = "Ho 2020, Nichol and Dhariwal 2021",
    .usual_steps = 250,
    .least_steps = 2,
    .most_steps = 1000,
    .noisy_steps = [](const SamplerGrid& g) { return g.timesteps->respaced(g.request.steps).size() - 1; },
    .run =
        [](const SamplerInput& in) {
          return ddpm(in.network, in.start, in.timesteps->respaced(in.request.steps), in.noise, in.progress);
        },
};

}  // namespace diffit::diffusion
